"""Which plugins a plan stands on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .contributions import Claim, Contributions, key_of
from .planning import Plan
from .plugins import PluginCensus


def plugins_in_worker(plan: Plan, contributions: Contributions) -> set[str]:
    """Plugins whose code the plan's workers run: the engine's, the model type's, the launcher's, its parsers'."""
    owners = contributions.owners()
    return {owners[claim] for claim in _in_worker(plan, contributions) if claim in owners}


def plugins_behind(plan: Plan, contributions: Contributions) -> set[str]:
    """All without which the plan could not be made again: those, and who brings its family, type, source,
    cluster."""
    owners, family = contributions.owners(), plan.family
    kind = family.model_type.lower()
    claims = [
        *_in_worker(plan, contributions),
        ("families", f"{kind}/{family.name.lower()}"),
        ("model_types", kind),
        ("sources", plan.source.partition(":")[0].lower()),
        ("provisioners", plan.environment.provisioner.lower()),
        ("clusters", plan.site.cluster.lower()),
    ]
    return {owners[claim] for claim in claims if claim in owners}


def code_of(plan: Plan, census: PluginCensus) -> tuple[str, ...]:
    """Folders of the home that the plan's workers need on their `sys.path`: of plugins that were installed there."""
    names = sorted(plugins_in_worker(plan, census.contributions))
    folders = (record.folder for name in names if (record := census.record(name)))
    return tuple(dict.fromkeys(folder for folder in folders if folder))


def runs_code_of(plan: Plan, contributions: Contributions, names: Collection[str], folder: str) -> bool:
    """Whether its workers run code of these plugins; folder: where they lie, also while they are blocked."""
    return folder in plan.code or not plugins_in_worker(plan, contributions).isdisjoint(names)


def stands_on(plan: Plan, contributions: Contributions, names: Collection[str], folder: str) -> bool:
    """Whether it could not be made again without these plugins."""
    return folder in plan.code or not plugins_behind(plan, contributions).isdisjoint(names)


def _in_worker(plan: Plan, contributions: Contributions) -> Iterator[Claim]:
    yield "engines", plan.engine.lower()
    yield "model_types", plan.family.model_type.lower()
    if plan.launcher is not None:
        yield "launchers", plan.launcher.name.lower()
    for name, kind in ((plan.family.tool_parser, "tool"), (plan.family.reasoning_parser, "reasoning")):
        spec = contributions.parser(name, kind) if name else None
        if spec is not None:
            yield "parsers", key_of(spec)
