"""What a converter has to know of an architecture, and the values it works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gguf import GGUFWriter

from .errors import CannotConvert
from .weights import Array, Stored

Config = dict[str, Any]
Change = Callable[[Array], Array]

TOOL = "llama.cpp's own convert_hf_to_gguf.py knows more."


class Source(NamedTuple):
    """What is converted. config: of config.json. tensors: by their names in the folder's files."""

    folder: Path
    config: Config
    tensors: Mapping[str, Stored]

    def number(self, key: str) -> int:
        """A whole number of config.json. Raises CannotConvert when it is not there."""
        value = self.config.get(key)
        if not isinstance(value, int):
            raise CannotConvert(f"config.json does not say {key!r}.")
        return value


def unchanged(array: Array) -> Array:
    return array


class Target(NamedTuple):
    """Where a tensor goes. change: how its numbers are put into ggml's order. exact: stays float32."""

    name: str
    change: Change = unchanged
    exact: bool = False


class Layout(Protocol):
    """How the models of an architecture are written down. Every method raises CannotConvert for what is not known."""

    def write_sizes(self, writer: GGUFWriter, source: Source) -> None:
        """The sizes of the network, in the names of GGUF."""

    def write_vocabulary(self, writer: GGUFWriter, source: Source) -> None: ...

    def target_of(self, name: str, source: Source) -> Target | None:
        """None for a tensor that ggml does without."""
        ...

    def needed(self, source: Source) -> Iterator[str]:
        """Names of tensors without which nothing runs."""
        ...
