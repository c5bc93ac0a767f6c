"""Exports a model to ONNX: `python -m enginehouse_sentence_transformers.exporting`, an ExportOrder on its stdin.

A process of its own: what the exporter takes goes back to the machine when it ends (decision 0152).
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from enginehouse.sdk import EngineContext, LaunchFailed

from .loading import load_library_model
from .onnx_backend import OPSET, ExportOrder, import_optional


def main() -> int:
    """The exit status. Where it is not 0, the last line of stderr says why."""
    try:
        _make(msgspec.json.decode(sys.stdin.buffer.read(), type=ExportOrder))
    except Exception as error:  # noqa: BLE001 - the exporter is foreign code, a model's own code too
        traceback.print_exception(error)
        sys.stderr.write(f"\n{_reason(error)}\n")
        return 1
    return 0


def _reason(error: BaseException) -> str:
    """On one line: what we say ourselves, else what was raised first."""
    if isinstance(error, LaunchFailed):
        return " ".join(error.message.split())
    before = error.__cause__ or error.__context__
    return _reason(before) if before else " ".join([f"{type(error).__name__}:", *str(error).split()])


def _make(order: ExportOrder) -> None:
    first: Any = load_library_model(_context(order))[0]
    names = ["input_ids", "attention_mask"]
    if "token_type_ids" in first.tokenizer.model_input_names:
        names.append("token_type_ids")
    made = Path(order.file)
    plain = made.with_name("plain.onnx") if order.options.int8 else made
    _export(_Plain(first.auto_model.float(), names, order.output).eval(), names, plain)
    if order.options.int8:
        quantization = import_optional("onnxruntime.quantization")
        quantization.quantize_dynamic(str(plain), str(made), weight_type=quantization.QuantType.QInt8)


class _Plain(torch.nn.Module):
    """The model with tensors in and one tensor out, which is what can be exported."""

    def __init__(self, model: Any, names: Sequence[str], output: str) -> None:
        super().__init__()
        self._model = model
        self._names = names
        self.output = output

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self._model(**dict(zip(self._names, tensors, strict=True)), return_dict=True)[self.output]
        return made


def _export(model: _Plain, names: Sequence[str], file: Path) -> None:
    example = tuple(torch.ones((2, 8), dtype=torch.int64) for _ in names)
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("length", min=1)
    program = torch.onnx.export(
        model,
        example,
        input_names=list(names),
        output_names=[model.output],
        dynamic_shapes=(tuple({0: batch, 1: length} for _ in names),),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    program.save(str(file))


def _context(order: ExportOrder) -> EngineContext:
    return EngineContext(
        model_uid="export",
        model_path=Path(order.model_path),
        device="cpu",
        options=order.options,
        trust_remote_code=order.trust_remote_code,
        tasks=order.tasks,
    )


if __name__ == "__main__":
    sys.exit(main())
