"""A model without weights that needs nothing: what `enginehouse certify flexible` asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any


def repeat(text: str, times: int = 1, seconds: float = 0.0) -> Iterator[dict[str, Any]]:
    """A text, so often, with a pause of so many seconds before each but the first."""
    for number in range(times):
        if number:
            time.sleep(seconds)
        yield {"number": number, "text": text}
