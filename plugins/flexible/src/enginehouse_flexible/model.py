"""What a launcher is given and what it gives back. Launchers and their tests import this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec


class FlexibleModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A registration, as a launcher reads it.

    model_uri: where the weights lie on this machine, a folder or a file; None for a model without any.
    launcher_args: as they were registered. device: "cpu", "cuda" or "mps", what was planned for.
    trust_remote_code: whether the launch allows that code from the model's files is run.
    """

    model_name: str
    model_uri: str | None = None
    model_id: str | None = None
    model_hub: str | None = None
    model_revision: str | None = None
    model_description: str | None = None
    launcher: str | None = None
    launcher_args: str | dict[str, Any] | None = None
    device: str = "cpu"
    trust_remote_code: bool = False


class Call(NamedTuple):
    """The arguments of one `infer`."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class FlexibleModel:
    """A model that a launcher built. Any object with `load` and `infer` will do; this one has a constructor, too.

    concurrency: calls of `infer` at the same time, each on a thread of its own.
    batch_size: calls that wait may be answered together, so many at most, by `infer_batch`; 0 for one by one.
    The constructor and the protocol are Xinference's (its documentation, "Flexible models").
    """

    concurrency: int = 1
    batch_size: int = 0

    def __init__(
        self,
        model_uid: str,
        model_path: str | None,
        model_family: Any,
        device: str | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        self._model_uid = model_uid
        self._model_path = model_path
        self._device = device
        self._config = config or {}
        self.model_family = model_family

    @property
    def model_uid(self) -> str:
        return self._model_uid

    @property
    def model_path(self) -> str | None:
        return self._model_path

    @property
    def device(self) -> str | None:
        return self._device

    @property
    def config(self) -> dict[str, Any]:
        return self._config

    def load(self) -> None:
        """Loads the model. Runs once, on a thread; what it raises is told to whoever launched the model."""
        raise NotImplementedError

    def infer(self, *args: Any, **kwargs: Any) -> Any:
        """What the model makes of these arguments: anything that JSON can hold, arrays and pictures too.

        A generator's values go out one by one to callers that ask for a stream, to others as a list.
        """
        raise NotImplementedError

    def infer_batch(self, calls: Sequence[Call]) -> Sequence[Any]:
        """The results of several calls, in their order. An exception among them is told to its caller alone."""
        return [self.infer(*call.args, **call.kwargs) for call in calls]
