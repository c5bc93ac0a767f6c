"""Every reason why an engine cannot run a variant here: the model, the machine, and the environment it needs. Pure."""

from __future__ import annotations

import msgspec

from ..sdk import EngineSpec
from .devices import Machine
from .environment_need import Case, Chosen, Place, choose_environment
from .launch_request import LaunchRequest
from .matching import Mismatch, mismatches


class Verdict(msgspec.Struct, frozen=True):
    """reasons: why it cannot; none when it can. environment: what it would run in."""

    reasons: tuple[Mismatch, ...]
    environment: Chosen

    @property
    def builds(self) -> bool:
        """Whether an environment is made for it."""
        return self.environment.need.provisioner == "uv"


def judge(case: Case, place: Place) -> Verdict:
    """Whether an engine can run a variant, as this launch wants it. Raises BadRequest for wishes that are wrong."""
    chosen = choose_environment(case, place)
    missing = (Mismatch(code="library", engine=case.engine.name, message=message) for message in chosen.lacking)
    return Verdict((*mismatches(case.engine, case.family, case.variant, place.machine), *missing), chosen)


def likely_device(request: LaunchRequest, engine: EngineSpec, machine: Machine) -> str:
    """What the engine would run on, before devices are chosen: the first of its kinds that is here."""
    if request.n_gpu is None or str(request.n_gpu).lower() in {"none", "null"}:
        return "cpu"
    return next((kind for kind in engine.devices if kind in machine.device_kinds), "cpu")
