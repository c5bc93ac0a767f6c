"""ONNX Runtime instead of PyTorch for the model's largest part: exported once, kept in the home."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enginehouse.sdk import EngineContext, LaunchFailed

from .model import Features
from .options import SentenceTransformersOptions
from .words import Words

OPSET = 18
FOLDER = "onnx"
_OUTPUTS = {"feature-extraction": "last_hidden_state", "sequence-classification": "logits"}
_WEIGHTS = (".safetensors", ".bin", ".json")


def onnx_modules(
    context: EngineContext, modules: Sequence[Any], words: Words | None
) -> tuple[Callable[[Features], Features], ...]:
    """The modules, the first run by ONNX Runtime where the options say so. Raises LaunchFailed."""
    options: SentenceTransformersOptions = context.options
    if options.backend == "torch":
        if options.int8:
            raise LaunchFailed("int8 needs backend=onnx; add it, or leave int8 out.")
        return tuple(modules)
    first = modules[0]
    output = _OUTPUTS.get(getattr(first, "transformer_task", ""))
    if context.device != "cpu" or words is None or output is None:
        raise LaunchFailed("backend=onnx is for models of text on a CPU; use backend=torch for this one.")
    file = _exported(context, first.auto_model, words, output)
    first.auto_model.to("meta")  # its weights are in the file now, and would lie in memory twice
    return (OnnxTransformer(file, first.module_output_name), *modules[1:])


class OnnxTransformer:
    """One session for all threads that compute, each of which brings its own core."""

    def __init__(self, file: Path, output: str) -> None:
        runtime = _import("onnxruntime")
        settings = runtime.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.inter_op_num_threads = 1
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = runtime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
        self._inputs = tuple(one.name for one in self._session.get_inputs())
        self._output = output

    def __call__(self, features: Features) -> Features:
        given = {name: features[name].numpy() for name in self._inputs}
        (made,) = self._session.run(None, given)
        features[self._output] = torch.from_numpy(np.ascontiguousarray(made))
        return features


class _Plain(torch.nn.Module):
    """The model with tensors in and one tensor out, which is what can be exported."""

    def __init__(self, model: Any, names: Sequence[str], output: str) -> None:
        super().__init__()
        self._model = model
        self._names = names
        self._output = output

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self._model(**dict(zip(self._names, tensors, strict=True)), return_dict=True)[self._output]
        return made


def _exported(context: EngineContext, model: Any, words: Words, output: str) -> Path:
    """The exported file, made now unless an earlier worker did."""
    options: SentenceTransformersOptions = context.options
    folder = cache_folder() / _fingerprint(context.model_path)
    file = folder / ("model-int8.onnx" if options.int8 else "model.onnx")
    if file.is_file():
        return file
    context.report(0.75, "exporting to ONNX")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder))
    try:
        made = _export(model.float(), words, output, making)
        if options.int8:
            made = _quantize(made, making / "int8.onnx")
        made.replace(file)
    except LaunchFailed:
        raise
    except Exception as error:  # the exporter is foreign code
        raise LaunchFailed(f"The model could not be exported to ONNX: {error} Use backend=torch.") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return file


def _export(model: Any, words: Words, output: str, folder: Path) -> Path:
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        _import(needed)
    names = ["input_ids", "attention_mask"]
    if "token_type_ids" in words.tokenizer.model_input_names:
        names.append("token_type_ids")
    example = tuple(torch.ones((2, 8), dtype=torch.int64) for _ in names)
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("length", min=1)
    program = torch.onnx.export(
        _Plain(model, names, output).eval(),
        example,
        input_names=names,
        output_names=[output],
        dynamic_shapes=(tuple({0: batch, 1: length} for _ in names),),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    file = folder / "model.onnx"
    program.save(str(file))
    return file


def _quantize(file: Path, to: Path) -> Path:
    quantization = _import("onnxruntime.quantization")
    quantization.quantize_dynamic(str(file), str(to), weight_type=quantization.QuantType.QInt8)
    return to


def cache_folder() -> Path:
    """Where exported models lie: in the server's home, for its workers inherit where that is."""
    home = os.environ.get("ENGINEHOUSE_HOME")
    return (Path(home) if home else Path.home() / ".enginehouse") / FOLDER


def _fingerprint(folder: Path) -> str:
    """Tells weights apart by place, names, sizes and times: an exported model of other weights would be wrong."""
    facts = [str(folder.resolve()), torch.__version__, str(OPSET)]
    for file in sorted(folder.iterdir()):
        if file.suffix in _WEIGHTS:
            about = file.stat()
            facts.append(f"{file.name} {about.st_size} {about.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:24]


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LaunchFailed(
            f"backend=onnx needs {name.partition('.')[0]}, which is not installed: "
            "pip install 'enginehouse-sentence-transformers[onnx]'."
        ) from error
