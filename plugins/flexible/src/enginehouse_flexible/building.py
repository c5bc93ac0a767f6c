"""From an engine's context to a model, by its launcher; whatever goes wrong is said with the launcher's name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import msgspec

from enginehouse.sdk import BadRequest, EngineContext, EnginehouseError, LaunchFailed

from .arguments import read_arguments
from .model import FlexibleModelSpec
from .shapes import against, shape_of

Launcher = Callable[..., Any]


def build(context: EngineContext) -> Any:
    """The model, not loaded yet: an object with `load` and `infer`. Raises LaunchFailed or BadRequest."""
    target = context.launcher or ""
    launcher = import_launcher(target)
    arguments = arguments_of(context)
    spec = spec_of(context)
    if misfit := against(shape_of(launcher), ("uid", spec), arguments):
        raise BadRequest(f"Launcher {target} does not take these arguments: {misfit}", param="launcher_args")
    try:
        model = launcher(context.model_uid, spec, **arguments)
    except EnginehouseError:
        raise
    except (Exception, SystemExit) as error:  # a launcher is foreign code, and may even leave
        raise LaunchFailed(f"Launcher {target} raised {type(error).__name__}: {error}.") from error
    missing = [name for name in ("load", "infer") if not callable(getattr(model, name, None))]
    if missing:
        raise LaunchFailed(
            f"Launcher {target} gave {type(model).__name__}, which has no {' and no '.join(missing)}. A launcher gives "
            "an object with load() and infer(*args, **kwargs)."
        )
    return model


def import_launcher(target: str) -> Launcher:
    """The callable at "module:name". Raises LaunchFailed."""
    module_name, _, name = target.partition(":")
    try:
        launcher = getattr(importlib.import_module(module_name), name)
    except ImportError as error:
        raise LaunchFailed(
            f"Launcher {target} cannot be imported: {error}. Install what it needs into the model's environment (its "
            "registration's virtualenv.packages, or beside the server)."
        ) from error
    except AttributeError as error:
        raise LaunchFailed(f"There is no {name!r} in {module_name}; look at the launcher's name.") from error
    except (Exception, SystemExit) as error:  # a launcher's module is foreign code
        raise LaunchFailed(f"Importing launcher {target} raised {type(error).__name__}: {error}.") from error
    if not callable(launcher):
        raise LaunchFailed(f"Launcher {target} is {type(launcher).__name__}, which cannot be called.")
    found: Launcher = launcher
    return found


def arguments_of(context: EngineContext) -> dict[str, Any]:
    """What the launch says, under what is registered, under the launch's own launcher_args. Raises BadRequest."""
    options = context.options
    try:
        registered, given = read_arguments(context.facts.get("launcher_args")), read_arguments(options.launcher_args)
    except ValueError as error:
        raise BadRequest(f"launcher_args is no JSON object: {error}.", param="launcher_args") from error
    return {**options.rest, **registered, **given}


def spec_of(context: EngineContext) -> FlexibleModelSpec:
    facts = {name: context.facts.get(name) for name in FlexibleModelSpec.__struct_fields__ if name in context.facts}
    path = context.model_path
    has_weights = path.is_file() or (path.is_dir() and any(path.iterdir()))
    return msgspec.convert(
        {
            "model_name": context.model_uid,
            **facts,
            "model_uri": str(path) if has_weights else None,
            "device": context.device,
            "trust_remote_code": context.trust_remote_code,
        },
        FlexibleModelSpec,
    )
