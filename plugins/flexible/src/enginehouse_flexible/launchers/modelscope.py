"""Pipelines of ModelScope's library."""

from __future__ import annotations

from typing import Any

from modelscope.pipelines import pipeline  # type: ignore[import-not-found, unused-ignore]

from enginehouse.sdk import LaunchFailed
from enginehouse_flexible.files import with_files
from enginehouse_flexible.model import FlexibleModel, FlexibleModelSpec

_DEVICES = {"cuda": "gpu"}  # the library's own words


class Pipeline(FlexibleModel):
    """config: `task`, and further arguments of the library's `pipeline`."""

    def load(self) -> None:
        config = dict(self._config)
        if not config.get("task"):
            raise LaunchFailed("Say which pipeline of ModelScope to build: `task` in launcher_args.")
        if self._model_path is not None:
            config["model"] = self._model_path
        self._opens_links = bool(config.pop("open_links", False))
        self._pipeline = pipeline(device=_DEVICES.get(str(self._device), self._device), **config)

    def infer(self, *args: Any, **kwargs: Any) -> Any:
        if not self._opens_links:
            args, kwargs = with_files(args), with_files(kwargs)
        return self._pipeline(*args, **kwargs)


def launcher(model_uid: str, model_spec: FlexibleModelSpec, **config: Any) -> Pipeline:
    """config: `task`, and whatever else `modelscope.pipelines.pipeline` takes."""
    device = config.pop("device", None) or model_spec.device
    return Pipeline(model_uid, model_spec.model_uri, model_spec, device, config)
