"""JSON files that come with models, read within limits: a model's folder may come from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..sdk import BadRequest

MOST_BYTES = 128 * 2**20  # the largest tokenizer.json there are have a third of this
T = TypeVar("T")


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises BadRequest that names the file and the fault."""
    return read_as(file, dict[str, Any])


def read_as(file: Path, kind: type[T]) -> T:
    """A JSON file as `kind`. Raises BadRequest that names the file and the fault."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadRequest(f"{file} is larger than {MOST_BYTES} bytes; that is no such file.", param="model_path")
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRequest(f"{file} cannot be read: {error}.", param="model_path") from error
