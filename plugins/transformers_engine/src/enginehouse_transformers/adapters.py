"""Which LoRA weights each row of a step uses.

The model's own modules are wrapped by peft, see lora.py. Before each forward pass the batch says which adapter each
row has; a hook on every wrapped module passes that on. Rows without one go through the model's own weights only.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Rows
from typing import Any

_BASE = "__base__"  # peft's word for a row without an adapter


class Adapters:
    """Of a model without any, `use` does nothing. known: peft's name for each adapter.

    mixed: rows of one pass may differ. Else, for models that peft cannot mix, all rows of a pass have the same.
    """

    def __init__(self, tuner: Any = None, wrapped: Iterable[Any] = (), known: dict[str, str] | None = None) -> None:
        self.mixed = True
        self._known = known or {}
        self._tuner = tuner
        self._rows: list[str] | None = None
        self._current = ""
        for module in wrapped:
            module.register_forward_pre_hook(self._pass_on, with_kwargs=True)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._known)

    def use(self, rows: Rows[str | None]) -> None:
        """Says for each row of the next pass its adapter; None is the model as it is."""
        if self._tuner is None:
            return
        wanted = [_BASE if name is None else self._known[name] for name in rows]
        if self.mixed:
            self._switch(next(iter(self._known.values())))  # any: its modules are switched on, and told of each row
            self._rows = wanted
        else:
            (only,) = set(wanted)
            self._switch(only)
            self._rows = None

    def _switch(self, name: str) -> None:
        if name == self._current:
            return
        if name == _BASE:
            self._tuner.disable_adapter_layers()
        else:
            self._tuner.enable_adapter_layers()
            self._tuner.set_adapter(name)
        self._current = name

    def _pass_on(self, module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs if self._rows is None else {**kwargs, "adapter_names": self._rows}
