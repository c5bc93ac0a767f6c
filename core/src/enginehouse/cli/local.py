"""The plugins installed beside this command, loaded into this process."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..host.plugins import PluginCensus
    from ..host.settings import Settings


def load_local(settings: Settings) -> PluginCensus:
    """All plugins and what became of each. What a plugin prints while it is imported goes to stderr."""
    from ..host.plugins import load_plugins

    with redirect_stdout(sys.stderr):
        return load_plugins(settings)
