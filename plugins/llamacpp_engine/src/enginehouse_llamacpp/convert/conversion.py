"""The conversion, start to end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quantize

from .adapters import CONFIG, write_adapter
from .architectures import architecture_of
from .errors import CannotConvert
from .layout import Layout, Source, Target
from .llava import LLAVA, sight_of, words_of
from .towers import Tower
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


class Part(NamedTuple):
    """A file that is to be written. arch: GGUF's name for what is in it."""

    file: Path
    arch: str
    layout: Layout
    source: Source


def convert(wanted: Conversion, report: Report = lambda share: None) -> list[Path]:
    """Writes the file, and a projector beside it where the model sees; gives both.

    They appear under their names only when both are whole. Raises CannotConvert, OSError.
    """
    if (wanted.folder / CONFIG).is_file():
        return [_convert_adapter(wanted)]
    source = Source(wanted.folder, _config(wanted.folder / "config.json"), stored_tensors(wanted.folder))
    parts = parts_of(wanted, source)
    with ExitStack() as whole:
        for index, part in enumerate(parts):
            writer = whole.enter_context(_written(part.file, part.arch))
            write_part(writer, part, wanted, _share_of(report, index, len(parts)))
    return [part.file for part in parts]


def _share_of(report: Report, done: int, count: int) -> Report:
    return lambda share: report((done + share) / count)


def parts_of(wanted: Conversion, source: Source) -> list[Part]:
    """What becomes a file of its own. Raises CannotConvert."""
    sees = (source.config.get("architectures") or [""])[0] == LLAVA
    words = words_of(source) if sees else source
    model = architecture_of(words.config)
    parts = [Part(wanted.out, model.arch.name.lower(), model.layout, words)]
    if sees:
        parts.insert(0, Part(_projector(wanted), "clip", Tower(), sight_of(source)))
    return parts


def _projector(wanted: Conversion) -> Path:
    """The projector's file: a launch of the model's path finds it by its name. Raises CannotConvert."""
    file = wanted.out.with_name(f"mmproj-{wanted.out.name}")
    if file.exists() and not wanted.out.exists():
        raise CannotConvert(f"{file} is there already, and would be replaced; give another file, or move it away.")
    return file


def _convert_adapter(wanted: Conversion) -> Path:
    if wanted.base is None:
        raise CannotConvert(f"{wanted.folder} holds an adapter; say which model it was made for (--base).")
    base = _config(wanted.base / "config.json")
    with _written(wanted.out, architecture_of(base).arch.name.lower()) as writer:
        write_adapter(writer, wanted.folder, _config(wanted.folder / CONFIG), base)
    return wanted.out


@contextmanager
def _written(file: Path, arch: str) -> Iterator[GGUFWriter]:
    """Takes what a file shall hold, and writes it at the end."""
    part = file.with_name(f"{file.name}.part")
    writer = GGUFWriter(part, arch)
    try:
        yield writer
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(file)
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


def write_part(writer: GGUFWriter, part: Part, wanted: Conversion, report: Report) -> None:
    """Adds everything to `writer`. Raises CannotConvert."""
    source, layout, kind = part.source, part.layout, KINDS[wanted.kind]
    writer.add_name(wanted.name or wanted.folder.name)
    writer.add_file_type(kind.file)
    layout.write_sizes(writer, source)
    layout.write_vocabulary(writer, source)
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
