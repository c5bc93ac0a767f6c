"""Which replicas a deployment shall have: their ids, and the devices that somebody chose for one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from ..sdk import BadRequest, NotSupported
from .launch_request import LaunchRequest

MOST_REPLICAS = 64  # as many as a launch may ask for


class Place(msgspec.Struct, frozen=True):
    """One replica that shall run. n_gpu and gpu_idx: where somebody chose them for this replica alone."""

    replica_id: int
    n_gpu: int | str | None = None
    gpu_idx: tuple[int, ...] | None = None

    @property
    def pinned(self) -> bool:
        return self.n_gpu is not None or self.gpu_idx is not None


class _Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    worker_ip: str | None = None
    n_gpu: int | str | None = None
    gpu_idx: tuple[int, ...] | None = None


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    replica_uid: str | None = None
    devices: tuple[_Device, ...] = ()


class _Body(msgspec.Struct, frozen=True):
    replica_config: _Config | None = None


def first_places(request: LaunchRequest) -> tuple[Place, ...]:
    """The replicas that a launch asks for."""
    return tuple(Place(number) for number in range(request.replica))


def parse_place(body: object) -> Place:
    """Where one more replica shall run, from the body of `POST .../replicas`; its id is still to be given.

    Raises BadRequest that names the field, NotSupported for what needs more than this machine.
    """
    try:
        config = msgspec.convert(body, _Body).replica_config or _Config()
    except msgspec.ValidationError as error:
        raise BadRequest(f"This replica cannot be read: {error}.", param="replica_config") from error
    if config.replica_uid is not None:
        raise NotSupported("Replicas are numbered by the server; leave replica_uid out.", param="replica_config")
    if len(config.devices) > 1:
        raise BadRequest("One replica takes one entry in `devices`.", param="replica_config")
    device = config.devices[0] if config.devices else _Device()
    if device.worker_ip is not None:
        raise NotSupported("This server has one machine; leave worker_ip out.", param="replica_config")
    return Place(-1, device.n_gpu, device.gpu_idx or None)


def request_at(request: LaunchRequest, place: Place) -> LaunchRequest:
    """The request as it reads for one replica alone."""
    if not place.pinned:
        return request
    chosen: dict[str, Any] = {} if place.n_gpu is None else {"n_gpu": place.n_gpu}
    indexes = list(place.gpu_idx) if place.gpu_idx else None
    return msgspec.structs.replace(request, replica=1, replica_config=None, gpu_idx=indexes, **chosen)


def free_id(places: Iterable[Place], taken: Collection[int]) -> int:
    """The lowest number that no replica has. Raises BadRequest when there are too many."""
    used = {place.replica_id for place in places}
    if len(used) >= MOST_REPLICAS:
        raise BadRequest(f"A model may have {MOST_REPLICAS} replicas, and has them.")
    return next(number for number in range(len(used) + len(taken) + 1) if number not in used and number not in taken)
