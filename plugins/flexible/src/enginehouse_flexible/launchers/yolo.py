"""Ultralytics' models: boxes, masks, poses and classes in pictures."""

from __future__ import annotations

import json
from typing import Any

from ultralytics import YOLO  # type: ignore[import-not-found, unused-ignore]

from enginehouse.sdk import LaunchFailed
from enginehouse_flexible.files import read_picture
from enginehouse_flexible.model import FlexibleModel, FlexibleModelSpec


class Detector(FlexibleModel):
    """config: arguments of `ultralytics.YOLO` (`task`, `verbose`)."""

    def load(self) -> None:
        if self._model_path is None:
            raise LaunchFailed("Say where the weights lie: model_uri of the registration, a .pt or .onnx file.")
        self._model = YOLO(self._model_path, **self._config)

    def infer(self, source: str, **kwargs: Any) -> list[Any]:
        """What is found in each picture, as the library writes it. source: base64 or a data URL."""
        arguments = {"device": self._device, "verbose": False, **kwargs}
        results = self._model(read_picture(source).convert("RGB"), **arguments)
        return [json.loads(result.to_json()) for result in results]


def launcher(model_uid: str, model_spec: FlexibleModelSpec, **config: Any) -> Detector:
    device = config.pop("device", None) or model_spec.device
    return Detector(model_uid, model_spec.model_uri, model_spec, device, config)
