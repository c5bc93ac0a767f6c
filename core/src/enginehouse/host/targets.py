"""Light code named by string: "module:name"."""

from __future__ import annotations

import importlib
from typing import Any

from ..sdk import InvalidSpec


def resolve(target: str) -> Any:
    """The object that "module:name" names. Raises InvalidSpec when it is not there."""
    module_name, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidSpec(f"{target!r} cannot be found: {error}. Reinstall the plugin that names it.") from error


def target_of(kind: type) -> str:
    """The "module:name" of a class."""
    return f"{kind.__module__}:{kind.__qualname__}"
