"""Sources: where weights come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec


class FetchProgress(msgspec.Struct, frozen=True):
    """How far a fetch has come, in bytes; `total_bytes` is None while unknown."""

    file: str
    done_bytes: int
    total_bytes: int | None = None


class Fetch(Protocol):
    """Brings the weights named by `reference` to this machine.

    reference: the URI without its scheme.
    folder: a private folder of this reference, to download into; a source whose weights already lie on
        this machine leaves it alone.
    report: called as bytes arrive; raises Cancelled when the launch was cancelled.
    Returns the folder (or file) that holds the weights. Raises EnginehouseError with what to do.
    """

    def __call__(self, reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> Path: ...


class SourceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A source. scheme: what URIs begin with; fetch: "module:function" with the shape of `Fetch`.

    local: its weights always lie on this machine already, so that `fetch` only finds them.
    """

    scheme: str
    fetch: str
    local: bool = False
    summary: str = ""
