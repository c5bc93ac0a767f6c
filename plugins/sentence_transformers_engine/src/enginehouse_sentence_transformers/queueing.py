"""What waits to be computed, and what of it makes a good batch. Pure; whoever uses it from threads holds a lock."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

from .words import Tokens

WINDOW = 4  # batches' worth of sequences that are looked at to find some of like length
MOST_IN_WINDOW = 2048
SPREAD = 32  # tokens by which lengths in a batch may always differ, beyond a factor of two: padding is computed too


class Item:
    """One sequence of a caller. kind: only like kinds share a batch. owner, place: where its result belongs."""

    __slots__ = ("kind", "length", "owner", "place", "tokens")

    def __init__(self, tokens: Tokens, kind: Any, owner: Any, place: int) -> None:
        self.tokens = tokens
        self.kind = kind
        self.owner = owner
        self.place = place
        self.length = tokens.length


class Queue:
    """Sequences of all callers; each caller has a turn, so that one with thousands does not stand before the rest."""

    def __init__(self) -> None:
        self._callers: OrderedDict[object, deque[Item]] = OrderedDict()
        self.tokens = 0

    def __bool__(self) -> bool:
        return bool(self._callers)

    def add(self, caller: object, items: Sequence[Item]) -> None:
        self._callers.setdefault(caller, deque()).extend(items)
        self.tokens += sum(item.length for item in items)

    def forget(self, caller: object) -> None:
        """Drops what waits for a caller that is gone."""
        for item in self._callers.pop(caller, ()):
            self.tokens -= item.length

    def take(self, budget: int) -> list[Item]:
        """A batch of at most `budget` tokens, padding included, around the sequence whose turn it is; one at least."""
        if not self._callers:
            return []
        window = self._window(budget * WINDOW)
        anchor = window[0]
        alike = sorted((item for item in window if item.kind == anchor.kind), key=lambda item: item.length)
        batch = _around(alike, next(place for place, item in enumerate(alike) if item is anchor), budget)
        taken = {id(item) for item in batch}
        self._put_back([item for item in window if id(item) not in taken])
        self.tokens -= sum(item.length for item in batch)
        first = next(iter(self._callers), None)
        if first is not None and first is anchor.owner.caller:
            self._callers.move_to_end(first)
        return batch

    def _window(self, budget: int) -> list[Item]:
        """Takes items out, one of each caller in turn."""
        window: list[Item] = []
        lists = list(self._callers.values())
        while lists and budget > 0 and len(window) < MOST_IN_WINDOW:
            for items in lists:
                window.append(items.popleft())
                budget -= window[-1].length
            lists = [items for items in lists if items]
        return window

    def _put_back(self, items: Sequence[Item]) -> None:
        for item in reversed(items):
            self._callers[item.owner.caller].appendleft(item)
        for caller in [caller for caller, items in self._callers.items() if not items]:
            del self._callers[caller]


def _around(items: Sequence[Item], anchor: int, budget: int) -> list[Item]:
    """The longest run of neighbours around the anchor that fits; the closest in length first."""
    low, high = anchor, anchor + 1
    while high - low < len(items):
        below = items[low].length - items[low - 1].length if low else None
        above = items[high].length - items[high - 1].length if high < len(items) else None
        up = above is not None and (below is None or above <= below)
        longest = items[high if up else high - 1].length
        shortest = items[low if up else low - 1].length
        if longest * (high - low + 1) > budget or longest > 2 * shortest + SPREAD:
            break
        low, high = (low, high + 1) if up else (low - 1, high)
    return list(items[low:high])
