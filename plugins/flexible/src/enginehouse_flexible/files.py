"""Files in arguments: data URLs and base64, never paths or addresses of the server's side unless somebody allows it."""

from __future__ import annotations

import binascii
import io
import os
import re
from base64 import b64decode
from typing import Any

from enginehouse.sdk import BadRequest

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*?;base64,", re.I)


def is_data_url(text: str) -> bool:
    return text[:5].lower() == "data:" and _DATA.match(text) is not None


def media_type(text: str) -> str:
    """Of a data URL: "image/png"; empty when it says none."""
    found = _DATA.match(text)
    return (found[1] or "").lower() if found else ""


def read_bytes(text: str) -> bytes:
    """What a data URL or bare base64 holds. Raises BadRequest."""
    if not isinstance(text, str):
        raise BadRequest(f"A file is given as {type(text).__name__}; give it as base64 or a data URL.")
    found = _DATA.match(text)
    try:
        return b64decode(text[found.end() :] if found else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"A file is neither base64 nor a data URL: {error}.") from error


def read_picture(text: str) -> Any:
    """The PIL image that a data URL or bare base64 holds. Raises BadRequest."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only launchers that read pictures need it

    try:
        picture = Image.open(io.BytesIO(read_bytes(text)))
        picture.load()
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise BadRequest(f"A picture cannot be read: {error}.") from error
    return picture


def with_files(value: Any) -> Any:
    """Arguments with each data URL in them as what it holds: a picture as a PIL image, anything else as bytes.

    Raises BadRequest for addresses and for paths of this machine: a library would open them for whoever asks.
    """
    if isinstance(value, list | tuple):
        return type(value)(map(with_files, value))
    if isinstance(value, dict):
        return {name: with_files(each) for name, each in value.items()}
    if not isinstance(value, str):
        return value
    if is_data_url(value):
        return read_picture(value) if media_type(value).startswith("image/") else read_bytes(value)
    if value.lower().startswith(("http://", "https://", "file:", "ftp://", "s3://")) or _is_path(value):
        raise BadRequest(
            f"{value[:80]!r} is an address or a path of the server's side, which this model does not open. Send the "
            "file itself, as a data URL or a part of a form."
        )
    return value


def _is_path(text: str) -> bool:
    try:
        return len(text) < 1024 and os.sep in text and os.path.exists(text)  # noqa: PTH110 - any text at all may come
    except ValueError:  # a null byte, which no path has
        return False
