"""Which replicas a deployment shall have: their ids, and the devices that somebody chose for one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import zip_longest
from typing import Any

import msgspec

from ..sdk import BadRequest
from .addresses import is_this_machine
from .launch_request import LaunchRequest
from .replica_config import FIELD, ReplicaUid, replica_uids

MOST_REPLICAS = 64  # as many as a launch may ask for


class Place(msgspec.Struct, frozen=True):
    """One replica that shall run. n_gpu and gpu_idx: where somebody chose them for this replica alone.

    replica_uid: what somebody called it.
    """

    replica_id: int
    n_gpu: int | str | None = None
    gpu_idx: tuple[int, ...] | None = None
    replica_uid: str | None = None

    @property
    def pinned(self) -> bool:
        return self.n_gpu is not None or self.gpu_idx is not None


class _Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    worker_ip: str | None = None
    n_gpu: int | str | None = None
    gpu_idx: tuple[int, ...] | None = None


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    replica_uid: ReplicaUid | None = None
    devices: tuple[_Device, ...] = ()


class _Body(msgspec.Struct, frozen=True):
    replica_config: _Config | None = None


def first_places(request: LaunchRequest) -> tuple[Place, ...]:
    """The replicas that a launch asks for."""
    names = replica_uids(request.replica_config)[: request.replica]
    return tuple(Place(number, replica_uid=uid) for number, uid in zip_longest(range(request.replica), names))


def parse_place(body: object, is_here: Callable[[str], bool] = is_this_machine) -> Place:
    """Where one more replica shall run, from the body of `POST .../replicas`; its id is still to be given.

    is_here: whether an address is one of the server's machine. Raises BadRequest that names the field.
    """
    try:
        config = msgspec.convert(body, _Body).replica_config or _Config()
    except msgspec.ValidationError as error:
        raise BadRequest(f"This replica cannot be read: {error}.", param=FIELD) from error
    if len(config.devices) > 1:
        raise BadRequest("One replica takes one entry in `devices`.", param=FIELD)
    device = config.devices[0] if config.devices else _Device()
    if device.worker_ip is not None and not is_here(device.worker_ip):
        raise BadRequest(
            f"worker_ip names {device.worker_ip}, which is not this machine, and this server has no other. "
            "Leave it out.",
            param=FIELD,
        )
    return Place(-1, device.n_gpu, device.gpu_idx or None, config.replica_uid)


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


def check_uid_free(place: Place, places: Iterable[Place], model_uid: str) -> None:
    """Raises BadRequest when another replica is called so."""
    for other in places:
        if place.replica_uid is not None and place.replica_uid == other.replica_uid:
            raise BadRequest(
                f"Replica {other.replica_id} of {model_uid!r} is called {place.replica_uid!r} already; choose another.",
                param=FIELD,
            )
