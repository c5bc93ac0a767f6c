"""Any ONNX model: tensors in, tensors out."""

from __future__ import annotations

from typing import Any

import numpy

from enginehouse.sdk import BadRequest
from enginehouse_flexible.model import FlexibleModel, FlexibleModelSpec
from enginehouse_flexible.onnx_sessions import open_session

_TYPES = {"float": "float32", "double": "float64", "float16": "float16", "string": "object"}


class Session(FlexibleModel):
    """config: see `open_session`."""

    concurrency = 2  # a session may be run by several threads; while one computes the other's answer is written

    def load(self) -> None:
        self._session = open_session(self._model_path, self._device, self._config)
        self._inputs = {each.name: each.type for each in self._session.get_inputs()}
        self._outputs = [each.name for each in self._session.get_outputs()]

    def infer(self, inputs: dict[str, Any], outputs: list[str] | None = None) -> dict[str, Any]:
        """inputs: by name, nested lists of the model's shape and type. outputs: names; all when left out."""
        if not isinstance(inputs, dict) or set(inputs) != set(self._inputs):
            raise BadRequest(f"`inputs` must be a mapping with exactly these names: {', '.join(self._inputs)}.")
        if unknown := sorted(set(outputs or ()) - set(self._outputs)):
            raise BadRequest(f"There are no outputs {unknown}; the model has {self._outputs}.", param="outputs")
        wanted = outputs or self._outputs
        tensors = {name: self._tensor(name, value) for name, value in inputs.items()}
        try:
            results = self._session.run(wanted, tensors)
        except Exception as error:  # the runtime's errors have no common base; a wrong shape is the usual one
            raise BadRequest(f"ONNX Runtime refuses these inputs: {error}") from error
        return dict(zip(wanted, results, strict=True))

    def _tensor(self, name: str, value: Any) -> Any:
        word = self._inputs[name].removeprefix("tensor(").removesuffix(")")
        try:
            return numpy.asarray(value, dtype=_TYPES.get(word, word))
        except (TypeError, ValueError) as error:
            raise BadRequest(f"Input {name!r} is no tensor of {word}: {error}.", param=name) from error


def launcher(model_uid: str, model_spec: FlexibleModelSpec, **config: Any) -> Session:
    device = config.pop("device", None) or model_spec.device
    return Session(model_uid, model_spec.model_uri, model_spec, device, config)
