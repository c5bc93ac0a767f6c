"""ONNX Runtime instead of PyTorch for the model's largest part: exported once, kept in the home."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
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
EXPORT_SECONDS = 1800  # some seconds for a small model, minutes for one of billions of weights on a slow disk

_log = logging.getLogger(__name__)


def onnx_modules(
    context: EngineContext, modules: Sequence[Any], words: Words | None
) -> tuple[Callable[[Features], Features], ...]:
    """The modules, the first run by ONNX Runtime where the options say so. Raises LaunchFailed."""
    options: SentenceTransformersOptions = context.options
    if options.backend == "torch":
        return tuple(modules)
    first = modules[0]
    output = _OUTPUTS.get(getattr(first, "transformer_task", ""))
    if context.device != "cpu" or words is None or output is None:
        raise LaunchFailed("backend=onnx is for models of text on a CPU; use backend=torch for this one.")
    file = _exported(context, output)
    first.auto_model.to("meta")  # its weights are in the file now, and would lie in memory twice
    return (OnnxTransformer(file, first.module_output_name), *modules[1:])


class OnnxTransformer:
    """One session for all threads that compute, each of which brings its own core."""

    def __init__(self, file: Path, output: str) -> None:
        runtime = import_optional("onnxruntime")
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


class ExportOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What `exporting` is to export, and where to. output: the model's, by name. file: in a folder of its own."""

    model_path: str
    tasks: tuple[str, ...]
    trust_remote_code: bool
    options: SentenceTransformersOptions
    output: str
    file: str


def _exported(context: EngineContext, output: str) -> Path:
    """The exported file, made now unless an earlier worker did."""
    options: SentenceTransformersOptions = context.options
    folder = cache_folder() / _fingerprint(context.model_path)
    file = folder / ("model-int8.onnx" if options.int8 else "model.onnx")
    if file.is_file():
        return file
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(needed) is None:
            raise _not_installed(needed)
    context.report(0.75, "exporting to ONNX")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder))
    try:
        made = making / file.name
        export(context, output, made)
        made.replace(file)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return file


def export(context: EngineContext, output: str, file: Path) -> None:
    """In a process of its own, which is in this one's group and ends with it. Raises LaunchFailed."""
    order = ExportOrder(
        model_path=str(context.model_path),
        tasks=context.tasks,
        trust_remote_code=context.trust_remote_code,
        options=context.options,
        output=output,
        file=str(file),
    )
    command = [sys.executable, "-P", "-m", f"{__package__}.exporting"]
    try:
        done = subprocess.run(command, input=msgspec.json.encode(order), capture_output=True, timeout=EXPORT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise LaunchFailed(f"The export to ONNX was not done in {EXPORT_SECONDS} s. Use backend=torch.") from error
    if done.returncode or not file.is_file():
        said = done.stderr.decode(errors="replace")
        _log.error("The export to ONNX failed:\n%s", said)
        last = next((line for line in reversed(said.splitlines()) if line.strip()), f"status {done.returncode}")
        raise LaunchFailed(f"The model could not be exported to ONNX: {last.strip()} Use backend=torch.")


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


def import_optional(name: str) -> Any:
    """A module of the extra `onnx`. Raises LaunchFailed where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise _not_installed(name.partition(".")[0]) from error


def _not_installed(name: str) -> LaunchFailed:
    return LaunchFailed(
        f"backend=onnx needs {name}, which is not installed: pip install 'enginehouse-sentence-transformers[onnx]'."
    )
