"""Which distributions of the server a worker runs: whose engine, type, launcher and parsers its plan names."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ...sdk import EnvironmentNeed
from ..planning import Plan
from ..plugins import PluginCensus


def with_carried(need: EnvironmentNeed, plan: Plan, census: PluginCensus) -> EnvironmentNeed:
    """The need, with the distributions that the plan's engine, model type, launcher and parsers come from."""
    named = dict.fromkeys((*need.carried, *_distributions(plan, census)))
    return msgspec.structs.replace(need, carried=tuple(named))


def _distributions(plan: Plan, census: PluginCensus) -> Iterator[str]:
    used = {("engines", plan.engine), ("model_types", plan.family.model_type), *_parsers(plan, census)}
    if plan.launcher is not None:
        used.add(("launchers", plan.launcher.name))
        if plan.launcher.distribution:
            yield plan.launcher.distribution
    for record in census.records:
        contributed = {(kind, name) for kind, names in record.contributes.items() for name in names}
        if record.distribution and used & contributed:
            yield record.distribution


def _parsers(plan: Plan, census: PluginCensus) -> Iterator[tuple[str, str]]:
    for name, kind in ((plan.family.tool_parser, "tool"), (plan.family.reasoning_parser, "reasoning")):
        spec = census.contributions.parser(name, kind) if name else None
        if spec:
            yield "parsers", spec.name
