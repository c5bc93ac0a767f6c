"""What models give, as JSON: numbers of numpy and tensors as lists, pictures as base64, the rest as it is."""

from __future__ import annotations

import io
from base64 import b64encode
from os import PathLike
from typing import Any

import msgspec

from enginehouse.sdk import EngineFailed

_METHODS = ("tolist", "to_pylist", "model_dump", "to_dict")
"""What numpy, torch, Arrow, pydantic and pandas say a value with."""


def as_json(value: Any) -> msgspec.Raw:
    """The value as JSON. Raises EngineFailed when it is none; NaN and infinity are null, for which JSON has no word."""
    try:
        return msgspec.Raw(msgspec.json.encode(value, enc_hook=_plain))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EngineFailed(
            f"infer gave {type(value).__name__}, which JSON cannot hold: {error}. Give numbers, text, lists and "
            "mappings with text as keys."
        ) from error


def json_event(value: Any) -> msgspec.Raw:
    """The value as an event of a stream."""
    return as_json({"value": as_json(value)})


def picture_as_json(picture: Any, image_format: str = "PNG") -> dict[str, Any]:
    """A PIL image as answers of images have it."""
    buffer = io.BytesIO()
    picture.save(buffer, format=image_format)
    return {"url": None, "b64_json": b64encode(buffer.getvalue()).decode()}


def _plain(value: Any) -> Any:
    if type(value).__module__.startswith("PIL."):
        return picture_as_json(value)
    if callable(detach := getattr(value, "detach", None)):
        value = detach().cpu()
    for name in _METHODS:
        if callable(method := getattr(value, name, None)):
            return method()
    if isinstance(value, PathLike):
        return str(value)
    raise TypeError(f"there is a {type(value).__module__}.{type(value).__name__} in it")
