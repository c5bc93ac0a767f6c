"""Sessions of ONNX Runtime, for the launchers that need one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime  # type: ignore[import-untyped]

from enginehouse.sdk import LaunchFailed

_PROVIDERS = {"cuda": ("CUDAExecutionProvider",), "mps": ("CoreMLExecutionProvider",)}


def open_session(path: str | None, device: str | None, config: dict[str, Any]) -> onnxruntime.InferenceSession:
    """A session of the model at `path`, or of the one model in that folder.

    config: `providers`, `intra_op_num_threads`, `inter_op_num_threads`. Raises LaunchFailed.
    """
    options = onnxruntime.SessionOptions()
    for name in ("intra_op_num_threads", "inter_op_num_threads"):
        if config.get(name) is not None:
            setattr(options, name, int(config[name]))
    file = _file_at(path)
    providers = config.get("providers") or [*_PROVIDERS.get(str(device), ()), "CPUExecutionProvider"]
    there = onnxruntime.get_available_providers()
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=[each for each in providers if each in there])
    except Exception as error:  # the runtime's errors have no common base
        raise LaunchFailed(f"ONNX Runtime cannot open {file}: {error}") from error


def _file_at(path: str | None) -> Path:
    if path is None:
        raise LaunchFailed("Say where the ONNX model lies: model_uri of the registration, a file or its folder.")
    place = Path(path)
    files = [place] if place.is_file() else sorted(place.glob("*.onnx"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise LaunchFailed(f"{place} holds not one ONNX model but: {names}. Name the file in model_uri.")
    return files[0]
