"""Certifying: all checks that apply to what a plugin contributes, run against real workers in a house of their own."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import importlib_metadata
import msgspec

from ..host.certificates import Certificate, Machine, Subject, files_digest, module_of, package_of
from ..host.contributions import Contributions
from ..host.plugins import PluginCensus, PluginRecord, load_plugins
from ..host.settings import Settings
from ..sdk import BadRequest, EngineSpec, Example, ModelType, Variant
from .checks import (
    chat,
    clusters,
    completions,
    declared,
    embeddings,
    faults,
    gateway,
    own_tasks,
    pressure,
    rankings,
    refusals,
    structured,
    tools,
    traffic,
    worker,
)
from .checks.check import LEVELS, Check, Level, checks_of, named
from .checks.declared import Declared
from .checks.parts import PARTS, parts_of
from .checks.pressure import AT_ONCE
from .checks.stage import Stage
from .houses import House
from .reports import Result, level_of, run_checks, subject_of

DECLARED = checks_of(declared)
CLUSTERS = checks_of(clusters)
RUNNING = checks_of(
    worker,
    completions,
    chat,
    tools,
    structured,
    embeddings,
    rankings,
    own_tasks,
    refusals,
    traffic,
    pressure,
    gateway,
    faults,
)
LAUNCH_SECONDS = "600"  # a checked engine may be a large one on a busy machine
UID = "checked"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to certify.

    plugin: its name. models: for its engines, each the name of a family or a path of weights, with "type:" before it
    where it is no LLM; none: the smallest that is installed, for each model type. engine: only this one.
    options: of the launch. level: the highest whose checks are run. only: names of checks, or of their groups.
    site: folders of plugins that are not installed.
    """

    plugin: str
    models: tuple[str, ...] = ()
    engine: str | None = None
    options: dict[str, object] = {}
    level: Level = "gold"
    only: tuple[str, ...] = ()
    site: tuple[Path, ...] = ()


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A model that an engine is checked with: the fields that launch it, its type, and the example that it is."""

    launch: dict[str, object]
    kind: ModelType
    example: Example | None = None

    @property
    def label(self) -> str:
        return str(self.launch["model_name"])


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found. results: by subject, in the order of the certificate's."""

    certificate: Certificate
    results: tuple[tuple[Result, ...], ...]

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(one for results in self.results for one in results if one.state == "failed")


Tell = Callable[[Result | str], None]


def certify(order: Order, tell: Tell = lambda told: None) -> Finding:
    """Runs the checks. Raises BadRequest for a plugin that is not there, or an engine without a model."""
    with tempfile.TemporaryDirectory(prefix="eh-") as place:  # short: a socket's path has a limit
        census = load_plugins(Settings(home=Path(place) / "none"))
        record = census.record(order.plugin)
        if record is None:
            known = ", ".join(one.name for one in census.records)
            raise BadRequest(f"There is no plugin {order.plugin!r} installed; there are: {known}.", param="plugin")
        work = _Work(order, census, record, Path(place), tell)
        subjects = [*work.light(), *work.parts(), *work.engines()]
    return _finding(order, record, [one for one in subjects if one[1]])


Done = tuple[Subject, tuple[Result, ...]]


class _Work:
    """One certification under way."""

    def __init__(self, order: Order, census: PluginCensus, record: PluginRecord, place: Path, tell: Tell) -> None:
        self.order, self.record, self.place, self.tell = order, record, place, tell
        self.contributions: Contributions = census.contributions

    def light(self) -> Iterator[Done]:
        """What the plugin declares: once for itself, or for each engine."""
        module = module_of(self.record.name) or ""
        found = importlib_metadata.distribution(self.record.distribution).requires if self.record.distribution else None
        about = Declared(record=self.record, module=module, requires=tuple(found or ()))
        for spec in self._specs() or (None,):
            subject = msgspec.structs.replace(about, spec=spec)
            name = spec.name if spec else self.record.name
            yield self._run("declaration", name, None, DECLARED, subject, subject)

    def parts(self) -> Iterator[Done]:
        """Everything it contributes beside engines."""
        for part in parts_of(self.record, self.contributions):
            yield self._run(part.kind, part.name, None, (*PARTS, *CLUSTERS), part, part)

    def engines(self) -> Iterator[Done]:
        for spec in self._specs() if self._wanted(RUNNING) else ():
            chosen = list(choose_models(spec, self.order.models, self.contributions))
            if not chosen:
                raise BadRequest(
                    f"No installed plugin brings a small model that engine {spec.name} can run ({spec.formats}); give "
                    "one with --model, the name of a family or a path of weights, or an example with the model type "
                    "(ModelType.examples).",
                    param="model",
                )
            for model in chosen:
                yield self._with_model(spec, model)

    def _specs(self) -> tuple[EngineSpec, ...]:
        names = {name.lower() for name in self.record.contributes.get("engines", ())}
        wanted = {self.order.engine.lower()} & names if self.order.engine else names
        return tuple(spec for spec in self.contributions.engines if spec.name.lower() in wanted)

    def _with_model(self, spec: EngineSpec, model: Chosen) -> Done:
        launch = {**model.launch, **self.order.options, "model_engine": spec.name, "model_uid": UID}
        with _house(self.place / f"{spec.name}-{model.kind.name}", self.order) as house:
            self.tell(f"{spec.name} with {model.label}: launching")
            _register(house, model)
            house.launch(str(launch.pop("model_name")), **launch)
            stage = Stage(house, {**launch, "model_name": model.label}, spec, model.kind, model.example)
            try:
                return self._run("engine", spec.name, model.label, RUNNING, stage, stage.facts)
            finally:
                stage.close()

    def _run(
        self, kind: str, name: str, model: str | None, checks: Sequence[Check], stage: object, facts: object
    ) -> Done:
        wanted = self._wanted(checks)
        if any(check.applies(facts) for check in wanted):
            self.tell(f"{kind} {name}" + (f" with {model}" if model else ""))
        results = tuple(run_checks(wanted, stage, facts, self.tell))
        return subject_of(kind, name, model, results), results

    def _wanted(self, checks: Sequence[Check]) -> list[Check]:
        """Those that were asked for."""
        upto = LEVELS[: LEVELS.index(self.order.level) + 1]
        return [check for check in named(checks, self.order.only) if check.level in upto]


@contextmanager
def _house(place: Path, order: Order) -> Iterator[House]:
    place.mkdir(parents=True)
    variables = {"ENGINEHOUSE_RESTART_LIMIT": "20", "ENGINEHOUSE_LAUNCH_SECONDS": LAUNCH_SECONDS}
    variables["ENGINEHOUSE_WORKER_REQUESTS"] = str(AT_ONCE)
    house = House(place / "h", site=order.site, **variables)
    house.client.timeout = float(LAUNCH_SECONDS)
    try:
        yield house.start()
    finally:
        house.end()


def choose_models(spec: EngineSpec, asked: Sequence[str], contributions: Contributions) -> Iterator[Chosen]:
    """The models that were asked for, or of each model type the smallest whose weights lie on this machine."""
    for text in asked:
        yield _asked(text, contributions)
    if not asked:
        for kind in contributions.model_types:
            asked_for = {*kind.tasks, *(task.name for task in kind.own_tasks)}
            if kind.name in spec.model_types and asked_for & set(spec.offers):
                yield from _examples(spec, kind) if kind.examples else _smallest(spec, kind, contributions)


def _examples(spec: EngineSpec, kind: ModelType) -> Iterator[Chosen]:
    """Those of the type that are for any engine, or for this one."""
    for example in kind.examples:
        wanted = str(example.launch.get("model_engine", spec.name)).lower() == spec.name.lower()
        if wanted and any(one.task in spec.offers for one in example.tasks):
            launch: dict[str, object] = {**example.launch, "model_type": kind.name}
            yield Chosen(launch=launch, kind=kind, example=example)


def _register(house: House, model: Chosen) -> None:
    if model.example is not None and model.example.registration is not None:
        body = {"model": {**model.example.registration, "model_name": model.label}}
        answer = house.client.post(f"/v1/model_registrations/{model.kind.name}", json=body)
        if answer.status_code != 200:
            raise BadRequest(f"The example {model.label!r} cannot be registered: {answer.text}", param="model")


def _asked(text: str, contributions: Contributions) -> Chosen:
    before, colon, rest = text.partition(":")
    kind = contributions.model_type(before) if colon else None
    name = rest if kind else text
    kind = kind or contributions.model_type("LLM")
    assert kind is not None  # the built-in plugin brings it
    launch: dict[str, object] = {"model_name": name, "model_type": kind.name}
    if Path(name).exists():
        launch = {**launch, "model_name": Path(name).stem, "model_path": str(Path(name).absolute())}
    return Chosen(launch=launch, kind=kind)


def _smallest(spec: EngineSpec, kind: ModelType, contributions: Contributions) -> Iterator[Chosen]:
    able = [
        (float(variant.size_in_billions.replace("_", ".")), family.name, variant)
        for family in contributions.families
        if family.model_type == kind.name
        for variant in family.variants
        if _fits(spec, variant) and _is_here(variant, contributions)
    ]
    if able:
        _, name, variant = min(able, key=lambda one: one[:2])
        launch = {"model_name": name, "model_type": kind.name, "model_format": variant.format}
        yield Chosen(launch={**launch, "model_size_in_billions": variant.size_in_billions}, kind=kind)


def _fits(spec: EngineSpec, variant: Variant) -> bool:
    patterns = spec.architectures
    named = not patterns or any(fnmatchcase(name, one) for name in variant.architectures for one in patterns)
    return variant.format in spec.formats and named


def _is_here(variant: Variant, contributions: Contributions) -> bool:
    schemes = (contributions.source(source.partition(":")[0]) for source in variant.sources)
    return any(source is not None and source.local for source in schemes)


def _finding(order: Order, record: PluginRecord, done: Sequence[Done]) -> Finding:
    package = package_of(module_of(record.name) or "")
    certificate = Certificate(
        plugin=record.name,
        distribution=record.distribution or "",
        version=record.version or "",
        core=importlib_metadata.version("enginehouse-core"),
        level=_capped(level_of(result for _, results in done for result in results), order.level),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=Machine(
            system=f"{platform.system()} {platform.release()}",
            processor=platform.machine(),
            python=platform.python_version(),
        ),
        subjects=tuple(subject for subject, _ in done),
        files=files_digest(package) if package else "",
        whole=order.level == "gold" and not order.only and order.engine is None,
    )
    return Finding(certificate=certificate, results=tuple(results for _, results in done))


def _capped(reached: Level | None, asked: Level) -> Level | None:
    """No higher than what was looked at."""
    return reached and LEVELS[min(LEVELS.index(reached), LEVELS.index(asked))]
