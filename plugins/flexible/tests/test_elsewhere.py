"""Launchers whose libraries have an environment of their own: tested where one of them is installed, skipped elsewhere.

Last seen with ultralytics 8.4.190 (torch 2.13.0, torchvision with its nms replaced) and with modelscope 1.40.2.
"""

from __future__ import annotations

import io
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from enginehouse.sdk import EngineContext, LaunchFailed
from enginehouse_flexible.building import build
from enginehouse_flexible.options import FlexibleOptions
from enginehouse_flexible.values import as_json


def load(name: str, weights: Path, **arguments: Any) -> Any:
    context = EngineContext(
        model_uid="tiny",
        model_path=weights,
        device="cpu",
        options=FlexibleOptions(rest=arguments),
        launcher=f"enginehouse_flexible.launchers.{name}:launcher",
    )
    model = build(context)
    model.load()
    return model


def test_yolo(tmp_path: Path) -> None:
    ultralytics = pytest.importorskip(
        "ultralytics", reason="pip install 'enginehouse-flexible[yolo]'", exc_type=ImportError
    )
    ultralytics.YOLO("yolov10n.yaml").save(tmp_path / "tiny.pt")
    buffer = io.BytesIO()
    Image.effect_noise((128, 128), 90).convert("RGB").save(buffer, "PNG")
    found = load("yolo", tmp_path / "tiny.pt").infer(b64encode(buffer.getvalue()).decode(), conf=1e-4, imgsz=128)
    assert len(found) == 1 and all({"name", "confidence", "box"} <= set(each) for each in found[0])
    assert as_json(found)


def test_modelscope(tmp_path: Path) -> None:
    pytest.importorskip(
        "modelscope.pipelines", reason="pip install 'enginehouse-flexible[modelscope]'", exc_type=ImportError
    )
    from modelscope.pipelines.base import Pipeline
    from modelscope.pipelines.builder import PIPELINES

    @PIPELINES.register_module("shout", module_name="shouting")
    class Shouting(Pipeline):  # type: ignore[misc]
        def __init__(self, model: str, **options: Any) -> None:
            self.place = model

        def __call__(self, text: str, times: int = 1) -> dict[str, Any]:
            return {"text": text.upper() * times, "place": self.place}

    (tmp_path / "configuration.json").write_text(
        '{"framework": "pytorch", "task": "shout", "pipeline": {"type": "shouting"}, "model": {"type": "none"}}'
    )
    answer = load("modelscope", tmp_path, task="shout").infer("hi", times=2)
    assert answer == {"text": "HIHI", "place": str(tmp_path)}
    with pytest.raises(LaunchFailed, match="Say which pipeline"):
        load("modelscope", tmp_path)


@pytest.mark.parametrize(("name", "library"), [("yolo", "ultralytics"), ("modelscope", "modelscope.pipelines")])
def test_without_its_library_a_launcher_says_what_to_install(tmp_path: Path, name: str, library: str) -> None:
    try:
        __import__(library)
    except ImportError:
        with pytest.raises(LaunchFailed, match=f"launchers.{name}:launcher cannot be imported: No module named"):
            load(name, tmp_path)
    else:
        pytest.skip(f"{library} is installed")
