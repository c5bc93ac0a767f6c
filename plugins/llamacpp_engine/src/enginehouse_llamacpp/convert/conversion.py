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
from .architectures import architecture_of
from .errors import CannotConvert
from .layout import Config, Source, Target
from .sampling import write_sampling
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
            write_model(writer, wanted, config, report)
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


def write_model(writer: GGUFWriter, wanted: Conversion, config: Config, report: Report) -> None:
    """Adds everything to `writer`. Raises CannotConvert."""
    source = Source(wanted.folder, config, stored_tensors(wanted.folder))
    layout, kind = architecture_of(config).layout, KINDS[wanted.kind]
    writer.add_name(wanted.name or wanted.folder.name)
    writer.add_file_type(kind.file)
    layout.write_sizes(writer, source)
    layout.write_vocabulary(writer, source)
    write_sampling(writer, wanted.folder)
    written: set[str] = set()
    for index, (name, stored) in enumerate(source.tensors.items()):
        target = layout.target_of(name, source)
        if target is not None:
            numbers, stored_as = _as_stored(target, stored.read(), kind.matrix)
            writer.add_tensor(target.name, numbers, raw_dtype=stored_as)
            written.add(target.name)
        report((index + 1) / len(source.tensors))
    if missing := next((name for name in layout.needed(source) if name not in written), None):
        raise CannotConvert(f"The weights in {wanted.folder} lack {missing}; fetch them again.")


def _as_stored(
    target: Target, array: Array, kind: GGMLQuantizationType
) -> tuple[npt.NDArray[Any], GGMLQuantizationType]:
    """The array in its type: what a block of that type does not divide evenly is stored as half precision."""
    changed = target.change(array)
    if changed.ndim < 2 or target.exact:
        return changed, GGMLQuantizationType.F32
    block, _ = GGML_QUANT_SIZES[kind]
    chosen = kind if changed.shape[-1] % block == 0 else GGMLQuantizationType.F16
    return quantize(changed, chosen), chosen
