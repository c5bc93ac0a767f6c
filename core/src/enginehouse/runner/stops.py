"""Stop strings: where an answer is cut, no matter how its text was sliced on the way here."""

from __future__ import annotations


class StopScanner:
    """Lets text through until one of `stops` is complete; none of a stop ever gets out.

    What may still become a stop is held back, and nothing else. When several stops match, the one that was
    complete first wins, and of those the longest: the answer does not depend on where the text was sliced.
    """

    __slots__ = ("_held", "_stops", "found", "stopped")

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """The text that may go out now; sets `stopped` and `found` when a stop is complete. Feed no more after that."""
        text = self._held + text
        matches = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if matches:
            self.stopped = True
            self._held = ""
            _, at, self.found = min(matches)
            return text[:at]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]

    def finish(self) -> str:
        """What was held back, now that no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
