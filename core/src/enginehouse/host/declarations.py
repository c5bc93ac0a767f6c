"""What somebody declared, as it would be written down: the fields that were set, and nothing else. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ..sdk import size_in_billions
from .hubs import default_uid
from .launch_request import LaunchRequest

Json = dict[str, Any]

_PLAIN = LaunchRequest(model_name="")


def written(request: LaunchRequest, uid: str | None = None) -> Json:
    """A launch request without what it leaves at its default; the engine's options stand in `options`.

    uid: what it is called, where the request names none; defaults to the uid that a server would choose.
    """
    fields = {
        name: value for name in request.__struct_fields__ if (value := getattr(request, name)) != getattr(_PLAIN, name)
    }
    first = {"model_uid": uid or request.model_uid or default_uid(request.model_name), "model_name": request.model_name}
    told: Json = msgspec.to_builtins({**first, **fields, "model_uid": first["model_uid"]})
    return told


def comparable(launch: Json) -> Json:
    """The same for every spelling of one launch: "0_5" is 0.5, "llm" is the type that is meant where none is said,
    and an option that is null was not set."""
    told = {name: value for name, value in launch.items() if value not in (None, {})}
    if str(told.get("model_type")).lower() == _PLAIN.model_type.lower():
        del told["model_type"]
    if "model_size_in_billions" in told:
        told["model_size_in_billions"] = size_in_billions(told["model_size_in_billions"])
    return told
