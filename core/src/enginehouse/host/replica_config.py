"""`replica_config` of a launch: names and devices chosen replica by replica. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from ..sdk import BadRequest

FIELD = "replica_config"
ReplicaUid = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f/?#]+$")]


class DeviceWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one replica wants. n_gpu: a number, "auto", or None for the CPU; gpu_idx wins over it."""

    worker_ip: str | None = None
    n_gpu: int | str | None = "auto"
    gpu_idx: tuple[int, ...] | None = None


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    devices: tuple[DeviceWish, ...]
    replica_uid: ReplicaUid | None = None


def parse_replica_config(config: Sequence[dict[str, Any]]) -> tuple[DeviceWish, ...]:
    """The wish of each replica. Raises BadRequest that says which entry is wrong and how."""
    return tuple(entry.devices[0] for entry in _entries(config))


def replica_uids(config: Sequence[dict[str, Any]] | None) -> tuple[str | None, ...]:
    """What each replica is called, where somebody gave it a name. Raises BadRequest as above."""
    return tuple(entry.replica_uid for entry in _entries(config or ()))


def _entries(config: Sequence[dict[str, Any]]) -> tuple[_Entry, ...]:
    try:
        entries = msgspec.convert(list(config), tuple[_Entry, ...])
    except msgspec.ValidationError as error:
        raise BadRequest(f"replica_config cannot be read: {error}.", param=FIELD) from error
    for uid, times in Counter(entry.replica_uid for entry in entries if entry.replica_uid).items():
        if times > 1:
            raise BadRequest(f"replica_config calls {times} replicas {uid!r}; give each its own.", param=FIELD)
    for number, entry in enumerate(entries):
        if len(entry.devices) != 1:
            raise BadRequest(f"Entry {number} of replica_config needs one entry in `devices`.", param=FIELD)
        for index, times in Counter(entry.devices[0].gpu_idx or ()).items():
            if times > 1:
                raise BadRequest(f"Entry {number} of replica_config names accelerator {index} twice.", param=FIELD)
    return entries


def check_chosen(gpu_idx: int | list[int] | None, replicas: int) -> None:
    """Raises BadRequest unless the accelerators can be dealt in equal parts, none of them twice in one."""
    if gpu_idx is None:
        return
    chosen = [gpu_idx] if isinstance(gpu_idx, int) else gpu_idx
    each, left = divmod(len(chosen), replicas)
    if left or not each:
        raise BadRequest(
            f"gpu_idx names {len(chosen)} accelerators, which {replicas} replicas cannot share in equal parts; "
            f"name {replicas}, or a multiple of it.",
            param="gpu_idx",
        )
    if any(len(set(chosen[start : start + each])) < each for start in range(0, len(chosen), each)):
        raise BadRequest("gpu_idx names an accelerator twice for the same replica.", param="gpu_idx")


def check_config(config: Sequence[dict[str, Any]] | None, replicas: int, others: dict[str, Any]) -> None:
    """others: fields that may not be set beside it, with their values. Raises BadRequest."""
    if config is None:
        return
    for name, value in others.items():
        if value is not None:
            raise BadRequest(f"Give either replica_config or {name}, not both.", param=name)
    if len(parse_replica_config(config)) != replicas:
        raise BadRequest(f"replica_config has {len(config)} entries for {replicas} replicas.", param=FIELD)
