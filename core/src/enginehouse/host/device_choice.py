"""Which accelerators a launch takes, from what it asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from ..sdk import BadRequest, Device, EngineSpec
from .devices import Machine
from .launch_request import LaunchRequest
from .replica_config import FIELD, DeviceWish, parse_replica_config
from .spreading import Places, Spread, deal, spread


def choose_devices(request: LaunchRequest, engine: EngineSpec, machine: Machine) -> Places:
    """The devices of each replica; empty ones for the CPU. Raises BadRequest that names the field.

    A deployment that was scaled has more or fewer replicas than devices were chosen for: they are used in turn.
    """
    usable = [device for device in machine.devices if device.kind in engine.devices]
    if request.replica_config:
        places = _configured(parse_replica_config(request.replica_config), request.replica, usable)
    elif request.gpu_idx is not None:
        places = deal(request.replica, tuple(_by_index(request.gpu_idx, usable, "gpu_idx")))
    else:
        places = spread(request.replica, _count(request.n_gpu, usable, "n_gpu"), usable)
    if "cpu" not in engine.devices and not all(places):
        raise BadRequest(f"Engine {engine.name} does not run on the CPU; leave n_gpu out.", param="n_gpu")
    return places


def _configured(wishes: Sequence[DeviceWish], replicas: int, usable: list[Device]) -> Places:
    """Devices that were named are not given to others while there are more."""
    named = {index for wish in wishes for index in wish.gpu_idx or ()}
    others = Spread(usable)
    others.reserve([device for device in usable if device.index in named])
    places = tuple(
        tuple(_by_index(wish.gpu_idx, usable, FIELD))
        if wish.gpu_idx
        else others.take(_count(wish.n_gpu, usable, FIELD))
        for wish in wishes
    )
    if any(places) and not all(places):
        raise BadRequest("replica_config has replicas on the CPU and on accelerators; choose one.", param=FIELD)
    return tuple(islice(cycle(places), replicas))


def _count(n_gpu: int | str | None, usable: Sequence[Device], field: str) -> int:
    if n_gpu is None or (isinstance(n_gpu, str) and n_gpu.lower() in {"none", "null"}):
        return 0
    if isinstance(n_gpu, str) and n_gpu.lower() == "auto":
        return int(bool(usable))
    if isinstance(n_gpu, bool) or not str(n_gpu).isdigit() or int(n_gpu) < 1:
        raise BadRequest(f"n_gpu is {n_gpu!r}; give 'auto', null for the CPU, or a number from 1.", param=field)
    if int(n_gpu) > len(usable):
        raise BadRequest(
            f"n_gpu is {n_gpu}, but the engine can use {len(usable)} accelerators of this machine. "
            "Ask for fewer, or for null to run on the CPU.",
            param=field,
        )
    return int(n_gpu)


def _by_index(wanted: int | Sequence[int], usable: Sequence[Device], field: str) -> Iterator[Device]:
    by_index = {device.index: device for device in usable}
    for index in [wanted] if isinstance(wanted, int) else wanted:
        if index not in by_index:
            have = ", ".join(map(str, by_index)) or "none"
            raise BadRequest(f"gpu_idx names {index}; usable here: {have}.", param=field)
        yield by_index[index]
