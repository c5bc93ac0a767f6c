"""What weight files say in their own headers. Only headers are read, never the weights behind them."""

from __future__ import annotations

import struct
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import InvalidSpec

HEADER_BYTES = 100_000_000  # the format's own limit; a longer one is a broken file, and would be read into memory
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "BOOL": 8, "C64": 64}
_OTHERS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx")


class _Tensor(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]


def weight_bytes(place: Path) -> dict[str, int]:
    """Bytes of the weights in a folder (or file) by type of number; those of other formats under "".

    Safetensors files count tensor by tensor, shape times width, whether in one file or many.
    Raises InvalidSpec that names the file whose header cannot be read.
    """
    files = [place] if place.is_file() else sorted(place.glob("*.safetensors"))
    tensors = [file for file in files if file.suffix == ".safetensors"]
    if tensors:
        return dict(sum((safetensors_bytes(file) for file in tensors), Counter[str]()))
    others = [place] if place.is_file() else _first_kind(place)
    total = sum(file.stat().st_size for file in others)
    return {"": total} if total else {}


def safetensors_bytes(file: Path) -> Counter[str]:
    """Bytes by type of number. Source: the format's description in the safetensors project's README."""
    found: Counter[str] = Counter()
    for name, entry in read_header(file).items():
        if name != "__metadata__":
            tensor = _tensor(file, entry)
            found[tensor.dtype] += (prod(tensor.shape) * bits_of(tensor.dtype) + 7) // 8
    return found


def bits_of(dtype: str) -> int:
    """Width of a number: in the table, or as its name ends ("BF16", "I64")."""
    digits = dtype.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return BITS.get(dtype) or (int(digits) if digits.isdigit() else 32)


def read_header(file: Path) -> dict[str, Any]:
    """A safetensors file's header: tensors by name. Raises InvalidSpec."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > HEADER_BYTES:
                raise ValueError(f"its header claims {length} bytes")
            return dict(msgspec.json.decode(stream.read(length), type=dict[str, Any]))
    except (OSError, ValueError, struct.error, msgspec.DecodeError) as error:
        raise InvalidSpec(f"{file} is no safetensors file, or was cut off: {error}. Fetch it again.") from error


def _tensor(file: Path, entry: Any) -> _Tensor:
    try:
        return msgspec.convert(entry, _Tensor)
    except msgspec.ValidationError as error:
        raise InvalidSpec(f"{file} has a tensor that cannot be read: {error}. Fetch it again.") from error


def _first_kind(folder: Path) -> list[Path]:
    """Files of the first other format there is: the same weights often lie there in several."""
    kinds = (sorted(folder.glob(pattern)) for pattern in _OTHERS)
    return next((kind for kind in kinds if kind), [])
