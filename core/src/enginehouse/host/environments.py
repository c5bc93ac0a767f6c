"""Environments: the interpreter and libraries a worker runs with, made by a provisioner plugin."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from ..sdk import EnginehouseError, Environment, EnvironmentNeed, LaunchFailed, Step
from .contributions import Contributions
from .targets import resolve

logger = logging.getLogger(__name__)


async def provide_environment(
    need: EnvironmentNeed, contributions: Contributions, home: Path, provisioner: str = "system"
) -> Environment:
    """An environment for `need`. Raises EnginehouseError that says what is missing and what to do."""
    spec = contributions.provisioner(provisioner)
    if spec is None:
        raise LaunchFailed(f"No loaded plugin brings the provisioner {provisioner!r}; see `enginehouse plugins`.")

    def report(step: Step) -> None:
        logger.info("environment for %s: %s %s", need.engine, step.phase, step.package)

    def provision() -> Environment:
        made: Environment = resolve(spec.provision)(need, home / "environments", report)
        return made

    try:
        return await asyncio.to_thread(provision)
    except EnginehouseError:
        raise
    except Exception as error:  # a provisioner is foreign code
        raise LaunchFailed(
            f"Provisioner {provisioner!r} failed for engine {need.engine}: {type(error).__name__}: {error}"
        ) from error
