"""Files that a launch names, and their way into memory."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from enginehouse.sdk import EngineContext, LaunchFailed
from enginehouse.sdk.gguf import read_gguf

SMALL = 64 * 2**20  # bytes of weights; below it threads wait for each other longer than they compute
CLASS_TOKEN = "v.class_embd"  # a tensor of towers of CLIP's kind
WARM_BYTES = 16 * 2**20  # read at once while warming up

_log = logging.getLogger(__name__)


def companion(path: str, what: str) -> Path:
    """A file that a launch names. Raises LaunchFailed when it is not there."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise LaunchFailed(f"{file} is no file; give the GGUF file of {what}.")
    return file


def projector_of(context: EngineContext, width: int | None) -> Path | None:
    """The file that turns images into input, where the launch names one. Raises LaunchFailed, BrokenGguf.

    width: numbers of one of the model's vectors.
    """
    name = context.options.multimodal_projector
    if not name:
        return None
    file = companion(str(context.model_path.parent / Path(name).expanduser()), "the projector")
    header = read_gguf(file)
    architecture = header.metadata.get("general.architecture")
    if architecture != "clip":
        raise LaunchFailed(f"{file} is no projector (architecture {architecture!r}); give the file named mmproj.")
    if None not in (width, header.seen_width) and width != header.seen_width:
        raise LaunchFailed(
            f"{file} was made for another model: it makes vectors of {header.seen_width} numbers, and those of "
            f"{context.model_path.name} have {width}. Give this model's own projector, or '' for text alone."
        )
    if header.seen_width and any(tensor.name == CLASS_TOKEN for tensor in header.tensors):
        _log.warning("%s has a tower with a class token, which llama.cpp reads one place off (decision 0262).", file)
    return file


def threads_for(context: EngineContext) -> int:
    """Threads of a step: as asked for, one for a small file, else one for each core."""
    if context.options.n_threads:
        return int(context.options.n_threads)
    if context.model_path.stat().st_size < SMALL:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warm(context: EngineContext) -> None:
    """Reads the file once, so that it lies in the system's cache when the library maps it.

    The library's own loading may hold the interpreter's lock; what is slow about it happens here instead, with
    progress for whoever asks.
    """
    files = _parts(context.model_path)
    size, done = sum(file.stat().st_size for file in files), 0
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while read := len(stream.read(WARM_BYTES)):
                done += read
                context.report(0.05 + 0.8 * done / max(size, 1), "reading weights")
    context.report(0.9, "loading")


def _parts(file: Path) -> list[Path]:
    """All files of a model that is split; they differ in one number."""
    match = re.search(r"-\d{5}-of-(\d{5})\.gguf$", file.name)
    return sorted(file.parent.glob(f"{file.name[: match.start()]}-*-of-{match[1]}.gguf")) if match else [file]
