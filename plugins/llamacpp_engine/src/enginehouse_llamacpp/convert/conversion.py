"""The conversion, start to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quantize

from .adapters import CONFIG, write_adapter
from .architectures import Architecture, architecture_of, missing_parts, target_of, write_sizes
from .errors import CannotConvert
from .sampling import write_sampling
from .vocabulary import write_vocabulary
from .weights import Array, stored_tensors

Report = Callable[[float], None]


class Kind(NamedTuple):
    """How matrices are stored; vectors stay float32, as llama.cpp wants them."""

    matrix: GGMLQuantizationType
    file: LlamaFileType


KINDS = {
    "f32": Kind(GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": Kind(GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": Kind(GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": Kind(GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}


class Conversion(NamedTuple):
    """What is to be done. kind: a key of KINDS. base: for an adapter, the folder of the model it was made for."""

    folder: Path
    out: Path
    kind: str = "f16"
    name: str = ""
    base: Path | None = None


def convert(wanted: Conversion, report: Report = lambda share: None) -> None:
    """Writes the file; it appears under its name only when it is whole. Raises CannotConvert, OSError."""
    adapter = (wanted.folder / CONFIG).is_file()
    if adapter and wanted.base is None:
        raise CannotConvert(f"{wanted.folder} holds an adapter; say which model it was made for (--base).")
    config = _config((wanted.base if adapter and wanted.base else wanted.folder) / "config.json")
    architecture = architecture_of(config)
    part = wanted.out.with_name(f"{wanted.out.name}.part")
    writer = GGUFWriter(part, architecture.arch.name.lower())
    try:
        if adapter:
            write_adapter(writer, wanted.folder, _config(wanted.folder / CONFIG), config)
        else:
            _write(writer, wanted, config, architecture, report)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(wanted.out)
    finally:
        part.unlink(missing_ok=True)


def _config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotConvert(f"{file} cannot be read: {error}. Give the folder of a model's weights.") from error
    if not isinstance(config, dict):
        raise CannotConvert(f"{file} holds no JSON object.")
    return config


def _write(
    writer: GGUFWriter,
    wanted: Conversion,
    config: dict[str, Any],
    architecture: Architecture,
    report: Report,
) -> None:
    tensors = stored_tensors(wanted.folder)
    kind = KINDS[wanted.kind]
    writer.add_name(wanted.name or wanted.folder.name)
    writer.add_file_type(kind.file)
    write_sizes(writer, config)
    write_vocabulary(writer, wanted.folder, config["vocab_size"])
    write_sampling(writer, wanted.folder)
    written: set[str] = set()
    for index, (name, stored) in enumerate(tensors.items()):
        target = target_of(name, config, architecture)
        if target is not None:
            numbers, stored_as = _as_stored(target.change(stored.read()), kind.matrix)
            writer.add_tensor(target.name, numbers, raw_dtype=stored_as)
            written.add(target.name)
        report((index + 1) / len(tensors))
    if missing := next(missing_parts(written, config), None):
        raise CannotConvert(f"The weights in {wanted.folder} lack {missing}; fetch them again.")


def _as_stored(array: Array, kind: GGMLQuantizationType) -> tuple[npt.NDArray[Any], GGMLQuantizationType]:
    """The array in its type: what a block of that type does not divide evenly is stored as half precision."""
    if array.ndim < 2:
        return array, GGMLQuantizationType.F32
    block, _ = GGML_QUANT_SIZES[kind]
    chosen = kind if array.shape[-1] % block == 0 else GGMLQuantizationType.F16
    return quantize(array, chosen), chosen
