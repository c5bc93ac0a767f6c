"""A change of what is declared that needs no other worker: how many replicas, how many requests, how long idle."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from ..sdk import BadRequest
from .launch_request import LaunchRequest, NotNegative, Replicas


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of a launch that may change while its workers run on; those that are not set stay as they are.

    request_limits, queue_length and keep_alive: null takes them back.
    """

    replica: Replicas | UnsetType = UNSET
    request_limits: NotNegative | UnsetType | None = UNSET
    queue_length: NotNegative | UnsetType | None = UNSET
    on_demand: bool | UnsetType = UNSET
    keep_alive: Annotated[float, msgspec.Meta(ge=0)] | UnsetType | None = UNSET

    def amend(self, request: LaunchRequest) -> LaunchRequest:
        """The request as it reads from now on."""
        fields = {name: value for name in AMENDABLE if (value := getattr(self, name)) is not UNSET}
        return msgspec.structs.replace(request, **fields)


AMENDABLE = frozenset(Amendment.__struct_fields__)
_DEFAULTS = {"replica": 1, "on_demand": False}  # null means the default, as in a launch


def parse_amendment(body: object) -> Amendment:
    """Checks what a caller sent. Raises BadRequest that names the field."""
    if not isinstance(body, dict):
        raise BadRequest(f"A change must be a JSON object with some of {', '.join(sorted(AMENDABLE))}.")
    for name in sorted(set(map(str, body)) - AMENDABLE):
        raise BadRequest(
            f"{name} cannot be changed while the model runs: it needs another worker. Send the whole launch to "
            f"POST /v1/models/UID/renew, as `enginehouse apply` does. What can: {', '.join(sorted(AMENDABLE))}.",
            param=name,
        )
    fields: dict[str, Any] = {
        name: _DEFAULTS.get(name) if value is None and name in _DEFAULTS else value for name, value in body.items()
    }
    try:
        return msgspec.convert(fields, Amendment)
    except msgspec.ValidationError as error:
        raise BadRequest(f"This change cannot be read: {error}.") from error
