"""Which distributions of the server a worker runs: whose engine, model type, launcher and parsers its plan names."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ...sdk import EnvironmentNeed
from ..planning import Plan
from ..plugins import PluginCensus


def with_carried(need: EnvironmentNeed, plan: Plan, census: PluginCensus) -> EnvironmentNeed:
    """The need, with the distributions that bring what the plan names."""
    named = dict.fromkeys((*need.carried, *_distributions(plan, census)))
    return msgspec.structs.replace(need, carried=tuple(named))


def _distributions(plan: Plan, census: PluginCensus) -> Iterator[str]:
    if plan.launcher and plan.launcher.distribution:  # it may be no plugin
        yield plan.launcher.distribution
    used = set(_used(plan, census))
    for record in census.records:
        contributed = {(kind, name.lower()) for kind, names in record.contributes.items() for name in names}
        if record.distribution and used & contributed:
            yield record.distribution


def _used(plan: Plan, census: PluginCensus) -> Iterator[tuple[str, str]]:
    """Kinds and lower-case names of contributions."""
    family = plan.family
    yield "engines", plan.engine.lower()
    yield "model_types", family.model_type.lower()  # its tasks' structs
    if plan.launcher:
        yield "launchers", plan.launcher.name.lower()
    for name, kind in ((family.tool_parser, "tool"), (family.reasoning_parser, "reasoning")):
        spec = census.contributions.parser(name, kind) if name else None
        if spec:
            yield "parsers", spec.name.lower()
