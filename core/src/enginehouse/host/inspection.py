"""Looking at weights on this machine: from a path to a complete registration."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ..sdk import BadRequest
from .model_draft import name_for, registration_of
from .model_folders import draft_from_path

INSPECT_SECONDS = 60.0  # small files and headers take well under a second; a disk over the network may sleep


async def inspect_model(path: str, family: str | None = None) -> dict[str, Any]:
    """As `inspect_path`, in a thread. Raises BadRequest also when the disk does not answer in time."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(inspect_path, path, family), INSPECT_SECONDS)
    except TimeoutError as error:
        raise BadRequest(f"{path!r} could not be read within {INSPECT_SECONDS:g} s.", param="model_path") from error


def inspect_path(path: str, family: str | None = None, name: str | None = None) -> dict[str, Any]:
    """A registration of the weights at `path`: a folder, its config.json, or a GGUF file.

    family: for `model_family`; else what the files say. Raises BadRequest that says what is missing or wrong.
    """
    place = Path(path.removeprefix("file://"))
    try:
        there = place.is_absolute() and place.exists()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise BadRequest(
            f"{path!r} is not there; give an absolute path, on the server's machine, of a folder of weights or of a "
            "GGUF file.",
            param="model_path",
        )
    try:
        draft = draft_from_path(place)
    except OSError as error:
        raise BadRequest(f"{place} cannot be read: {error}.", param="model_path") from error
    return registration_of(draft, name or name_for(draft.place), family)
