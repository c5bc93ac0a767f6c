"""Planning: from "run qwen3 0.6B" to a Plan. Pure functions over values: no file is written, nothing starts."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import (
    BadRequest,
    CannotRun,
    EngineSpec,
    EnvironmentNeed,
    LauncherSpec,
    ModelFamily,
    NotAllowed,
    NotSupported,
    Variant,
    size_in_billions,
)
from .abilities import as_run_by
from .addresses import is_this_machine
from .contributions import Contributions
from .device_choice import choose_devices
from .devices import Machine
from .environment_need import Case, Chosen, Place, Supply, choose_environment
from .hubs import choose_source
from .launch_request import LaunchRequest
from .launchers import find_launcher
from .matching import Mismatch
from .memory import Estimate
from .model_folders import family_from_folder, family_of_weights
from .obstacles import Verdict, judge, likely_device
from .options import check_options
from .replica_config import parse_replica_config
from .sites import Site

PROJECTOR = "multimodal_projector"  # the wire's name for it
NAMES_TO_READ = 8  # more names in an error are not read
Choose = Callable[[ModelFamily, Variant, tuple[EngineSpec, ...]], tuple[EngineSpec, str]]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a model will be run, whole: a value to read, keep and act on.

    reason: why this engine. tasks: what the deployment answers. devices: labels of all, empty for the CPU.
    spread: the devices of each replica; more replicas than planned begin again with the first.
    memory: what one replica will take; None where nobody estimated it. notes: of the environment, for people.
    device: what the engine is told ("cuda", "mps", "cpu"). options: the engine's, checked.
    launcher: what builds the model, on an engine that leaves this to launchers.
    code: folders of plugins that were installed into the home and whose code the worker runs.
    site: the cluster and the node of it that all its workers run on.
    """

    request: LaunchRequest
    family: ModelFamily
    variant: Variant
    engine: str
    reason: str
    tasks: tuple[str, ...]
    source: str
    environment: EnvironmentNeed
    device: str = "cpu"
    devices: tuple[str, ...] = ()
    spread: tuple[tuple[str, ...], ...] = ()
    options: dict[str, Any] = {}
    memory: Estimate | None = None
    launcher: LauncherSpec | None = None
    code: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    site: Site = Site()

    def devices_of(self, replica_id: int) -> tuple[str, ...]:
        """Labels of the devices of one replica; empty for the CPU."""
        return self.spread[replica_id % len(self.spread)] if self.spread else self.devices


class Knowledge(msgspec.Struct, frozen=True):
    """What planning goes by: what plugins contribute, the machine, who chooses, what the server allows, what
    environments can be made of.

    site: where it will run; is_here: whether an address is that node's. drafted: the family of a hub's id that no
    plugin knows; model_src: the hub to prefer where a model is on several.
    """

    contributions: Contributions
    machine: Machine
    choose: Choose
    trust_remote_code: bool = False
    is_here: Callable[[str], bool] = is_this_machine
    site: Site = Site()
    drafted: ModelFamily | None = None
    model_src: str = "auto"
    supply: Supply = Supply()

    @property
    def place(self) -> Place:
        """Where environments are planned for."""
        return Place(self.contributions, self.machine, self.supply)


def make_plan(request: LaunchRequest, known: Knowledge) -> Plan:
    """Plans a launch. Raises BadRequest, CannotRun (with every reason), NotSupported or NotAllowed."""
    _refuse_unsupported(request, known)
    family = known.drafted or find_family(request, known.contributions)
    variants = _fitting_variants(request, family)
    variant, engine, reason = _choose(request, family, variants, known)
    options = _options(request, engine, variant)
    launcher = _launcher(engine, family, options, known.contributions)
    needed = launcher.requirements if launcher else ()
    places = choose_devices(request, engine, known.machine)
    devices = tuple(dict.fromkeys(device for place in places for device in place))
    device = devices[0].kind if devices else "cpu"
    case = Case(request=request, family=family, variant=variant, engine=engine, device=device, built_with=needed)
    environment = _environment(case, known)
    return Plan(
        request=request,
        family=as_run_by(engine, family, known.contributions),
        variant=variant,
        engine=engine.name,
        reason=reason,
        tasks=_tasks(engine, family, known.contributions),
        source=f"file:{request.model_path}"
        if request.model_path
        else choose_source(variant.sources, request.download_hub, known.model_src),
        environment=environment.need,
        notes=environment.notes,
        device=device,
        devices=tuple(device.label for device in devices),
        spread=tuple(tuple(device.label for device in place) for place in places) if devices else (),
        options=options,
        launcher=launcher,
        site=known.site,
    )


def _environment(case: Case, known: Knowledge) -> Chosen:
    """On the very devices that were chosen. Raises CannotRun where they need what the server's environment lacks."""
    chosen = choose_environment(case, known.place)
    if chosen.lacking:
        lacking = " and ".join(chosen.lacking)
        raise CannotRun(
            f"{case.family.name} cannot be run by {case.engine.name} on {case.device}: {lacking}.",
            param="model_engine",
        )
    return chosen


def find_family(request: LaunchRequest, contributions: Contributions) -> ModelFamily:
    """The registered family of that name, else one drafted from `model_path`."""
    model_type = contributions.model_type(request.model_type)
    if model_type is None:
        known = ", ".join(kind.name for kind in contributions.model_types)
        raise BadRequest(f"There is no model type {request.model_type!r}; known: {known}.", param="model_type")
    family = contributions.family(model_type.name, request.model_name)
    if request.model_path:
        folder = Path(request.model_path)
        if not folder.is_absolute() or not _is_there(folder):
            raise BadRequest(
                f"model_path {request.model_path!r} is not there; give an absolute path on the server's machine.",
                param="model_path",
            )
        return (
            _at_path(folder, family, request)
            if family
            else family_from_folder(folder, request.model_name, model_type.name)
        )
    if family is None:
        raise BadRequest(_unknown_family(request, contributions), param="model_name")
    return family


def _is_there(place: Path) -> bool:
    """Whether this server can see it; what no file can be called is not there."""
    try:
        return place.exists()
    except (OSError, ValueError):
        return False


def _at_path(place: Path, family: ModelFamily, request: LaunchRequest) -> ModelFamily:
    """A known family whose weights lie elsewhere: unless the launch says which variant these are, their files do."""
    said = request.model_format or request.quantization or request.model_size_in_billions
    tells = place.suffix.lower() == ".gguf" or (family.model_type == "LLM" and (place / "config.json").is_file())
    if said or not tells:
        return family
    own = family_from_folder if family.chat_template is None else family_of_weights  # else the file's is never read
    return msgspec.structs.replace(family, variants=own(place, family.name, family.model_type).variants)


def _unknown_family(request: LaunchRequest, contributions: Contributions) -> str:
    names = sorted(f.name for f in contributions.families if f.model_type.lower() == request.model_type.lower())
    return (
        f"No installed plugin knows a model {request.model_name!r} of type {request.model_type}, and none is "
        f"registered. {_names_for(request, names)}. To run weights of your own give `model_path`, or a hub's id as "
        "org/name."
    )


def _names_for(request: LaunchRequest, names: list[str]) -> str:
    """The names to choose from; of many those that look like the one that was wanted."""
    if len(names) <= NAMES_TO_READ:
        return f"Known: {', '.join(names) or 'none'}"
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(request.model_name.lower(), lower, NAMES_TO_READ, cutoff=0.4)
    alike = ", ".join(lower[name] for name in close) or "none"
    listing = f"GET /v1/model_registrations/{request.model_type}"
    return f"{len(names)} are known, of them alike: {alike} (all: {listing})"


def _fitting_variants(request: LaunchRequest, family: ModelFamily) -> tuple[Variant, ...]:
    fitting = tuple(variant for variant in family.variants if _fits(variant, request))
    if not fitting:
        have = "; ".join(f"{v.format} {v.size_in_billions} {v.quantization}" for v in family.variants)
        raise BadRequest(f"{family.name} has no such variant. It has (format, size, quantization): {have}.")
    return fitting


def _fits(variant: Variant, request: LaunchRequest) -> bool:
    size = request.model_size_in_billions
    return (
        (request.model_format is None or variant.format == request.model_format.lower())
        and (request.quantization is None or variant.quantization.lower() == request.quantization.lower())
        and (size is None or size_in_billions(variant.size_in_billions) == size_in_billions(size))
    )


def _choose(
    request: LaunchRequest, family: ModelFamily, variants: tuple[Variant, ...], known: Knowledge
) -> tuple[Variant, EngineSpec, str]:
    engines = _engines(request, known.contributions)
    against: list[Mismatch] = []
    to_be_made: list[tuple[Variant, list[EngineSpec]]] = []
    for variant in variants:
        verdicts = {engine.name: _judge(request, family, variant, engine, known) for engine in engines}
        against.extend(reason for verdict in verdicts.values() for reason in verdict.reasons)
        able = [engine for engine in engines if not verdicts[engine.name].reasons]
        at_once = [engine for engine in able if not verdicts[engine.name].builds]
        if at_once:
            return variant, *_pick(request, family, variant, at_once, known)
        if able:
            to_be_made.append((variant, able))
    for variant, able in to_be_made:  # nothing runs without an environment that is made for it
        return variant, *_pick(request, family, variant, able, known)
    raise CannotRun(_cannot(family, engines, against), param="model_engine")


def _judge(
    request: LaunchRequest, family: ModelFamily, variant: Variant, engine: EngineSpec, known: Knowledge
) -> Verdict:
    device = likely_device(request, engine, known.machine)
    case = Case(request=request, family=family, variant=variant, engine=engine, device=device)
    return judge(case, known.place)


def _pick(
    request: LaunchRequest, family: ModelFamily, variant: Variant, able: list[EngineSpec], known: Knowledge
) -> tuple[EngineSpec, str]:
    if request.model_engine:
        return able[0], "It was asked for."
    if len(able) == 1:
        return able[0], "It is the only installed engine that can run this model here."
    engine, chooser = known.choose(family, variant, tuple(able))
    others = ", ".join(other.name for other in able if other is not engine)
    return engine, f"Chosen by plugin {chooser}; {others} could run it too."


def _engines(request: LaunchRequest, contributions: Contributions) -> tuple[EngineSpec, ...]:
    if request.model_engine is None:
        return contributions.engines
    wanted = request.model_engine.lower()
    named = tuple(engine for engine in contributions.engines if engine.name.lower() == wanted)
    if not named:
        have = ", ".join(engine.name for engine in contributions.engines) or "none"
        raise CannotRun(
            f"No installed plugin brings an engine {request.model_engine!r}. Installed: {have}. "
            "`enginehouse plugins` shows why a plugin was not loaded.",
            param="model_engine",
        )
    return named


def _cannot(family: ModelFamily, engines: Iterable[EngineSpec], against: list[Mismatch]) -> str:
    if not engines:
        return f"{family.name} cannot be run: no engine is installed. Install one, e.g. enginehouse-transformers."
    if not any(family.model_type.lower() in map(str.lower, engine.model_types) for engine in engines):
        had = "; ".join(f"{engine.name} runs {', '.join(engine.model_types)}" for engine in engines)
        return (
            f"{family.name} cannot be run: no installed engine runs models of type {family.model_type} ({had}). "
            "Install a plugin that brings one."
        )
    by_engine = {
        engine.name: dict.fromkeys(reason.message for reason in against if reason.engine == engine.name)
        for engine in engines
    }
    lines = "; ".join(f"{name}: {' and '.join(reasons)}" for name, reasons in by_engine.items())
    return f"{family.name} cannot be run here. {lines}."


def _tasks(engine: EngineSpec, family: ModelFamily, contributions: Contributions) -> tuple[str, ...]:
    """What the engine offers and the family is made for; a model without a chat template is not chatted with.

    Of tasks that its model type brings, a family that names none is made for all.
    """
    claimed = set(family.abilities)
    kind = contributions.model_type(family.model_type)
    own = {task.name for task in kind.own_tasks} if kind else set()
    if own:
        claimed |= set() if own & claimed else own
    elif claimed & {"chat", "generate"} or not claimed:
        claimed.add("generate")
    return tuple(task for task in engine.offers if task in claimed)


def _options(request: LaunchRequest, engine: EngineSpec, variant: Variant) -> dict[str, Any]:
    """The engine's options, checked. LoRA is one of them, and the file that turns images into input, for the engines
    that declare options of these names.
    """
    given = dict(request.options)
    if variant.projector and PROJECTOR in engine.options.__struct_fields__:
        given.setdefault(PROJECTOR, variant.projector)
    if request.peft_model_config is not None:
        if "peft_model_config" not in engine.options.__struct_fields__:
            raise NotSupported(
                f"Engine {engine.name} cannot load LoRA weights; leave peft_model_config out, or launch weights "
                "that the LoRA was merged into.",
                param="peft_model_config",
            )
        given["peft_model_config"] = request.peft_model_config
    return check_options(engine, given)


def _launcher(
    engine: EngineSpec, family: ModelFamily, options: dict[str, Any], contributions: Contributions
) -> LauncherSpec | None:
    """What builds the model, on an engine with an option `launcher`: what the launch says, else the family."""
    if "launcher" not in engine.options.__struct_fields__:
        return None
    name = options.get("launcher") or family.launcher
    if not name:
        raise BadRequest(f"{family.name} names no launcher; say which one builds it.", param="launcher")
    return find_launcher(str(name), contributions.launchers)


def addresses_asked(request: LaunchRequest) -> tuple[str, ...]:
    """The machines that a launch names."""
    given = [request.worker_ip] if isinstance(request.worker_ip, str) else request.worker_ip or []
    wished = [wish.worker_ip for wish in parse_replica_config(request.replica_config or ()) if wish.worker_ip]
    return tuple(filter(None, (part.strip() for text in (*given, *wished) for part in text.split(","))))


def _refuse_other_machines(request: LaunchRequest, known: Knowledge) -> None:
    for address in addresses_asked(request):
        if not known.is_here(address):
            raise BadRequest(f"worker_ip names {address}, {_not_there(known.site)} Leave it out.", param="worker_ip")


def _not_there(site: Site) -> str:
    if site == Site():
        return "which is not this machine, and this server has no other."
    return f"which is not the node {site.node} of the cluster {site.cluster}; all replicas of a model run on one node."


def _refuse_unsupported(request: LaunchRequest, known: Knowledge) -> None:
    _refuse_other_machines(request, known)
    if request.trust_remote_code and not known.trust_remote_code:
        raise NotAllowed(
            "trust_remote_code runs code from the model's files; this server does not allow it. Start it with "
            "ENGINEHOUSE_TRUST_REMOTE_CODE=1 if you trust whoever may launch models.",
            param="trust_remote_code",
        )
    if request.n_worker > 1:
        raise NotSupported(
            f"n_worker is {request.n_worker}, but this server has one machine: leave it out, or say 1. To use several "
            "accelerators give n_gpu; for several copies of the model, replica.",
            param="n_worker",
        )
