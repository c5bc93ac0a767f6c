"""Code named by string: "module:name"."""

from __future__ import annotations

import importlib
from typing import Any

from ..sdk import InvalidSpec


def resolve(target: str) -> Any:
    """What "module:name" names. Raises InvalidSpec; what the module itself raises passes through."""
    module_name, _, name = target.partition(":")
    module = importlib.import_module(module_name)
    if not hasattr(module, name):
        raise InvalidSpec(f"{target!r} cannot be found: {module_name} has no {name!r}. Reinstall the plugin.")
    return getattr(module, name)
