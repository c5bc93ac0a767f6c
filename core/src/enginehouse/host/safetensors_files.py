"""Which safetensors files make up a model, and how many parameters they hold, from their headers alone."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import BadRequest, InvalidSpec
from .model_json import read_as
from .weight_headers import read_header

INDEX = "model.safetensors.index.json"

_PACKED = {"qweight": 32, "weight_packed": 32}  # names under which several parameters share one integer
_BESIDE = ("qzeros", "scales", "g_idx", "weight_scale", "weight_zero_point", "weight_shape", "weight_scale_inv")
_OF_BITSANDBYTES = ("absmax", "quant_map", "nested_absmax", "nested_quant_map", "SCB", "weight_format")


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


class _Tensor(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def files_of(folder: Path) -> list[Path]:
    """The files of the model: those of its index, else all that there are. Raises BadRequest when one is missing."""
    index = folder / INDEX
    if not index.is_file():
        return sorted(file for file in folder.glob("*.safetensors") if not file.name.startswith("adapter_"))
    files = sorted({folder / name for name in read_as(index, _Index).weight_map.values() if Path(name).name == name})
    for file in files:
        if not file.is_file():
            raise BadRequest(f"{file} is missing, though {INDEX} names it. Fetch it.", param="model_path")
    return files


def count_parameters(files: list[Path], bits: int | None) -> int:
    """Parameters in all files. bits: width of a quantized parameter, where several share an integer.

    Raises BadRequest for a file that is cut off or none of its kind.
    """
    return sum(_count(file, bits) for file in files)


def _count(file: Path, bits: int | None) -> int:
    tensors = dict(_tensors(file))
    four_bit = {name.partition(".quant_state.")[0] for name in tensors if ".quant_state." in name}
    return sum(_parameters(name, tensor, bits, name in four_bit) for name, tensor in tensors.items())


def _parameters(name: str, tensor: _Tensor, bits: int | None, is_four_bit: bool) -> int:
    last = name.rpartition(".")[2]
    count = prod(tensor.shape)
    if is_four_bit:  # bitsandbytes: two to a byte
        return 2 * count
    if last in _BESIDE or last in _OF_BITSANDBYTES or ".quant_state." in name:
        return 0
    if last in _PACKED and bits and tensor.dtype == "I32":
        return count * _PACKED[last] // bits
    return count


def _tensors(file: Path) -> Iterator[tuple[str, _Tensor]]:
    try:
        header = read_header(file)
        size = file.stat().st_size - _data_start(file)
        end = max((tensor.data_offsets[1] for _, tensor in _read(header)), default=0)
    except InvalidSpec as error:
        raise BadRequest(error.message, param="model_path") from error
    except msgspec.ValidationError as error:
        raise BadRequest(
            f"{file} has a tensor that cannot be read: {error}. Fetch it again.", param="model_path"
        ) from error
    if end > size:
        raise BadRequest(
            f"{file} is cut off: its tensors take {end} bytes, and {size} are there. Fetch it again.",
            param="model_path",
        )
    yield from _read(header)


def _data_start(file: Path) -> int:
    with file.open("rb") as stream:
        return 8 + int.from_bytes(stream.read(8), "little")


def _read(header: dict[str, Any]) -> Iterator[tuple[str, _Tensor]]:
    for name, entry in header.items():
        if name != "__metadata__":
            yield name, msgspec.convert(entry, _Tensor)
