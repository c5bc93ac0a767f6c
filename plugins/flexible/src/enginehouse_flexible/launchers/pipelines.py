"""A pipeline of transformers as a flexible model."""

from __future__ import annotations

from typing import Any

import transformers
from transformers.pipelines import SUPPORTED_TASKS, TASK_ALIASES

from enginehouse.sdk import BadRequest, LaunchFailed
from enginehouse_flexible.files import with_files
from enginehouse_flexible.model import FlexibleModel
from enginehouse_flexible.shapes import against, shape_of


class Pipeline(FlexibleModel):
    """config: `task`, further arguments of `transformers.pipeline`, and `open_links`: whether texts that are addresses
    or paths may be opened by the library, on the server's side."""

    def load(self) -> None:
        config = dict(self._config)
        self._opens_links = bool(config.pop("open_links", False))
        task = str(config.pop("task", "") or "")
        self._reads_files = _kind(task) != "text"
        if self._model_path is None and "model" not in config:
            raise LaunchFailed(f"The task {task} needs weights: give model_uri or model_id in the registration.")
        if self._model_path is not None:
            config["model"] = self._model_path
        trusted = self.model_family.trust_remote_code
        make: Any = transformers.pipeline  # whose types are one overload a task
        self._pipeline = make(task, device=self._device, trust_remote_code=trusted, **config)
        self._shape = shape_of(self._pipeline.__call__)

    def infer(self, *args: Any, **kwargs: Any) -> Any:
        if self._reads_files and not self._opens_links:
            args, kwargs = with_files(args), with_files(kwargs)
        if misfit := against(self._shape, args, kwargs):
            raise BadRequest(f"This pipeline does not take that: {misfit}")
        return self._pipeline(*args, **kwargs)


def _kind(task: str) -> str:
    """What a task reads: "text", "image", "audio", ... Raises LaunchFailed for one that the library does not have."""
    name = TASK_ALIASES.get(task, task)
    if name.startswith("translation_"):
        name = "translation"
    found: Any = SUPPORTED_TASKS.get(name)
    if found is None:
        raise LaunchFailed(
            f"transformers {transformers.__version__} has no pipeline {task!r}; set `task` in launcher_args to one of: "
            f"{', '.join(sorted(SUPPORTED_TASKS))}, mock."
        )
    return str(found.get("type", "text"))
