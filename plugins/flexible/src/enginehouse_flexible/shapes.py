"""What callables take, checked before they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def shape_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """None for compiled code that does not say: it will tell itself what is wrong."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def against(shape: inspect.Signature | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """Why these arguments do not fit, with the shape that would; None when they do."""
    if shape is None:
        return None
    try:
        shape.bind(*args, **kwargs)
    except TypeError as error:
        return f"{error}. It takes {_shown(shape)}."
    return None


def _shown(shape: inspect.Signature) -> str:
    """Names and defaults, without types."""
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in shape.parameters.values()]
    return str(inspect.Signature(bare))
