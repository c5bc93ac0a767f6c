"""Pipelines of transformers; with `task: mock` an echo, for tries without a library."""

from __future__ import annotations

import importlib
from typing import Any

from enginehouse_flexible.model import FlexibleModel, FlexibleModelSpec


class Echo(FlexibleModel):
    """Gives back the arguments that it is called with by name."""

    def load(self) -> None:
        """Nothing to load."""

    def infer(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return kwargs


def launcher(model_uid: str, model_spec: FlexibleModelSpec, **config: Any) -> FlexibleModel:
    """config: `task`, and whatever else `transformers.pipeline` takes. `device` is what was planned unless said."""
    device = config.pop("device", None) or model_spec.device
    if config.get("task") == "mock":
        return Echo(model_uid, model_spec.model_uri, model_spec, device, config)
    pipelines = importlib.import_module("enginehouse_flexible.launchers.pipelines")  # imports the library
    model: FlexibleModel = pipelines.Pipeline(model_uid, model_spec.model_uri, model_spec, device, config)
    return model
