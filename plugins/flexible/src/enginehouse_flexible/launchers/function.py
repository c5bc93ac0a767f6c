"""Any Python function that the worker can import, as a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from enginehouse.sdk import LaunchFailed
from enginehouse_flexible.building import import_launcher
from enginehouse_flexible.model import FlexibleModelSpec


class Function:
    """A model whose `infer` is a function."""

    def __init__(self, function: Callable[..., Any], concurrency: int) -> None:
        self.infer = function
        self.concurrency = concurrency

    def load(self) -> None:
        """The function was imported when this was made; there is no more to load."""


def launcher(model_uid: str, model_spec: FlexibleModelSpec, function: str = "", concurrency: int = 1) -> Function:
    """function: "module:name" or dotted. concurrency: calls at the same time, for functions that allow it."""
    module, colon, name = function.partition(":") if ":" in function else function.rpartition(".")
    if not (module and colon and name):
        raise LaunchFailed(f"`function` in launcher_args is {function!r}; give it as module:name.")
    return Function(import_launcher(f"{module}:{name}"), concurrency)
