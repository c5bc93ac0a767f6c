"""Tensors of safetensors files as numpy arrays, without torch.

Source of the layout: the format's page in Hugging Face's safetensors documentation: eight bytes of length, a JSON
header of that length, then the tensors' bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import CannotConvert

Array = npt.NDArray[np.float32]

INDEX = "model.safetensors.index.json"
HEADER_BYTES = 100 * 2**20  # the format's own limit
_TYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "BF16": np.uint16}


class Stored(NamedTuple):
    """A tensor where it lies. offset: of its first byte in the file."""

    file: Path
    kind: str
    shape: tuple[int, ...]
    offset: int
    size: int

    def read(self) -> Array:
        """Its numbers as float32, whatever they are stored as. Raises CannotConvert for a type that is not known."""
        if self.kind not in _TYPES:
            raise CannotConvert(
                f"A tensor in {self.file} is of type {self.kind}; only {', '.join(_TYPES)} are converted."
            )
        raw = np.fromfile(self.file, np.dtype(_TYPES[self.kind]).newbyteorder("<"), _count(self.shape), "", self.offset)
        if self.kind == "BF16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        return raw.astype(np.float32).reshape(self.shape)


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """All tensors of a model's folder, by name. Raises CannotConvert."""
    found = {name: tensor for file in _files(folder) for name, tensor in _tensors(file)}
    if not found:
        raise CannotConvert(f"The files of weights in {folder} hold no tensor.")
    return found


def _files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.is_file():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        return [folder / name for name in names]
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CannotConvert(f"{folder} holds no .safetensors file; other formats of weights are not converted.")
    return files


def _tensors(file: Path) -> Iterator[tuple[str, Stored]]:
    header, start = _header(file)
    size = file.stat().st_size
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        tensor = Stored(file, entry["dtype"], tuple(entry["shape"]), start + begin, end - begin)
        width = np.dtype(_TYPES[tensor.kind]).itemsize if tensor.kind in _TYPES else None
        if start + end > size or (width and tensor.size != _count(tensor.shape) * width):
            raise CannotConvert(f"{file} is cut off or damaged at {name}; fetch it again.")
        yield name, tensor


def _header(file: Path) -> tuple[dict[str, Any], int]:
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > min(HEADER_BYTES, file.stat().st_size):
                raise CannotConvert(f"{file} is no safetensors file, or is cut off; fetch it again.")
            header: dict[str, Any] = json.loads(stream.read(length))
    except (OSError, ValueError) as error:
        raise CannotConvert(f"{file} cannot be read: {error}.") from error
    return header, 8 + length


def _count(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64)) if shape else 1
