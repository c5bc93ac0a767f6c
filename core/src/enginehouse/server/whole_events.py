"""A stream of server-sent events cut at the ends of events: a worker that dies leaves no half event behind.

Source of the format: the HTML standard, 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

HELD_BYTES = 2**20  # of one event; a larger one is passed on as it comes, since nobody's memory is for filling

_ENDS = (b"\n\n", b"\r\n\r\n")


class WholeEvents:
    """Holds back the beginning of an event until its end has come.

    Workers write whole events, so a piece that ends with one, and that is nearly every piece, passes untouched.
    whole: whether what was passed on ends with an event's end.
    """

    __slots__ = ("_held", "whole")

    def __init__(self) -> None:
        self._held = b""
        self.whole = True

    def cut(self, piece: bytes) -> bytes:
        """What may go to the client now: up to the end of the last event that is complete."""
        if not self._held and piece.endswith(_ENDS):
            self.whole = True
            return piece
        data = self._held + piece
        end = _end_of_last(data)
        if len(data) - end > HELD_BYTES:
            self._held, self.whole = b"", False
            return data
        self._held = data[end:]
        if end:
            self.whole = True
        return data[:end]

    def rest(self) -> bytes:
        """What was held back, for a stream that ended well but for its last line break."""
        held, self._held = self._held, b""
        return held


def _end_of_last(data: bytes) -> int:
    """Where the last complete event ends; 0 when none does."""
    ends = (data.rfind(mark) + len(mark) for mark in _ENDS if mark in data)
    return max(ends, default=0)
