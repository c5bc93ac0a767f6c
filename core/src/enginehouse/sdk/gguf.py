"""The header of a GGUF file: its metadata and what tensors it holds. The tensors themselves are never read.

Source: the format's specification in the ggml project (docs/gguf.md), versions 2 and 3. A file may come from
anywhere, so every length in it is checked against what is left of the file before it is believed.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from .errors import BadRequest

MAGIC = b"GGUF"
VERSIONS = (2, 3)
HEADER_BYTES = 256 * 2**20  # the largest vocabularies and their merges take a twentieth of this
MOST_ITEMS = 4_000_000  # of arrays, all together: the largest vocabularies have a quarter of this
MOST_DIMENSIONS = 8  # the format has four
MOST_DEPTH = 4  # of arrays in arrays, which no writer makes
ALIGNMENT = 32
LAST_BIAS = "mm.2.bias"  # of the two layers between a vision tower and the words

_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_SCALARS = {kind: struct.Struct(form) for kind, form in _NUMBERS.items()}
_BLOCKS = {  # numbers in a block and bytes of a block, by the tensor's type
    **{0: (1, 4), 1: (1, 2), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2)},
    **{2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 20: (32, 18), 39: (32, 17)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)},
    **{16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 21: (256, 110), 22: (256, 82), 23: (256, 136)},
    **{29: (256, 56), 34: (256, 54), 35: (256, 66)},
}


class TensorInfo(msgspec.Struct, frozen=True):
    """A tensor. kind: number of its type in ggml. offset: of its bytes behind the header."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def byte_count(self) -> int | None:
        """None for a type that was made after this reader."""
        block = _BLOCKS.get(self.kind)
        return -(-self.size // block[0]) * block[1] if block else None


class Gguf(msgspec.Struct, frozen=True):
    """A file's header. metadata: values by key; arrays are lists."""

    version: int
    metadata: dict[str, Any]
    tensors: tuple[TensorInfo, ...]

    @property
    def seen_width(self) -> int | None:
        """Of a projector in LLaVA's form: numbers of a vector that it makes; None where the header does not say.

        What `clip.vision.projection_dim` says is another number in many older files.
        """
        return next((tensor.shape[0] for tensor in self.tensors if tensor.name == LAST_BIAS and tensor.shape), None)


class BrokenGguf(BadRequest):
    """The file is no GGUF file, or was cut off or damaged."""

    code = "broken_model_file"


def read_gguf(file: Path) -> Gguf:
    """The header of a GGUF file. Raises BrokenGguf that says what is wrong with which file."""
    try:
        with file.open("rb") as stream:
            return _Reader(stream, file.stat().st_size).read()
    except OSError as error:
        raise BrokenGguf(f"{file} cannot be read: {error}.", param="model_path") from error
    except _Fault as fault:
        raise BrokenGguf(f"{file} is no usable GGUF file: {fault}. Fetch it again.", param="model_path") from fault


class _Fault(Exception):
    """What is wrong with the file."""


class _Reader:
    """Reads from front to back, within the file and the limits above."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._at = 0
        self._items = 0

    def read(self) -> Gguf:
        if self._take(4, "the magic") != MAGIC:
            raise _Fault("it does not begin with GGUF")
        version = self._version()
        tensor_count, pair_count = self._count("tensors"), self._count("metadata entries")
        metadata = dict(self._pair() for _ in range(pair_count))
        tensors = tuple(self._tensor() for _ in range(tensor_count))
        self._check_data(tensors, metadata)
        return Gguf(version, metadata, tensors)

    def _version(self) -> int:
        version = self._number(4, "the version")
        if version in VERSIONS:
            return version
        if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
            raise _Fault("it was written for big-endian machines")
        raise _Fault(f"it is of version {version}; known are {' and '.join(map(str, VERSIONS))}")

    def _pair(self) -> tuple[str, Any]:
        key = self._string("a key")
        return key, self._value(self._number(4, f"the type of {key}"), key)

    def _value(self, kind: int, key: str, depth: int = 0) -> Any:
        if kind == _STRING:
            return self._string(key)
        if kind == _ARRAY:
            return self._array(key, depth)
        scalar = _SCALARS.get(kind)
        if scalar is None:
            raise _Fault(f"{key} has a value of type {kind}, which there is not")
        return scalar.unpack(self._take(scalar.size, key))[0]

    def _array(self, key: str, depth: int) -> list[Any]:
        if depth >= MOST_DEPTH:
            raise _Fault(f"{key} has arrays in arrays, more than {MOST_DEPTH} deep")
        kind, count = self._number(4, key), self._count(f"items of {key}")
        scalar = _SCALARS.get(kind)
        if scalar is None:
            return [self._value(kind, key, depth + 1) for _ in range(count)]
        numbers = self._take(count * scalar.size, key)
        return [value for (value,) in scalar.iter_unpack(numbers)]

    def _tensor(self) -> TensorInfo:
        name = self._string("a tensor's name")
        dimensions = self._number(4, name)
        if dimensions > MOST_DIMENSIONS:
            raise _Fault(f"tensor {name[:80]!r} has {dimensions} dimensions")
        shape = tuple(self._number(8, name) for _ in range(dimensions))
        return TensorInfo(name, shape, self._number(4, name), self._number(8, name))

    def _check_data(self, tensors: tuple[TensorInfo, ...], metadata: dict[str, Any]) -> None:
        """Whether the tensors' bytes are all there."""
        alignment = metadata.get("general.alignment", ALIGNMENT)
        if not isinstance(alignment, int) or not 0 < alignment <= 2**20:
            raise _Fault(f"its alignment is {alignment!r}")
        start = -(-self._at // alignment) * alignment
        for tensor in tensors:
            end = start + tensor.offset + (tensor.byte_count or 0)
            if end > self._size:
                raise _Fault(f"it is cut off: tensor {tensor.name[:80]!r} ends at {end}, the file at {self._size}")

    def _count(self, what: str) -> int:
        """A number of things, each of which takes at least a byte."""
        count = self._number(8, f"the number of {what}")
        self._items += count
        if count > self._size - self._at:
            raise _Fault(f"it claims {count} {what}, and ends before")
        if self._items > MOST_ITEMS:
            raise _Fault(f"it claims {count} {what}; more than {MOST_ITEMS} are not believed")
        return count

    def _string(self, what: str) -> str:
        return self._take(self._number(8, what), what).decode("utf-8", errors="replace")

    def _number(self, width: int, what: str) -> int:
        return int.from_bytes(self._take(width, what), "little")

    def _take(self, count: int, what: str) -> bytes:
        if count > self._size - self._at:
            raise _Fault(f"it is cut off at {what[:80]}, byte {self._at}")
        self._at += count
        if self._at > HEADER_BYTES:
            raise _Fault(f"its header is longer than {HEADER_BYTES} bytes")
        taken = self._stream.read(count)
        if len(taken) < count:
            raise _Fault(f"it is being changed while it is read, at {what[:80]}")
        return taken
