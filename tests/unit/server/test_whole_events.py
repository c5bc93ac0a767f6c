"""Streams cut at the ends of events, wherever their bytes are cut."""

from __future__ import annotations

import pytest

from enginehouse.server.whole_events import HELD_BYTES, WholeEvents

STREAM = b'data: {"a": 1}\n\n: a comment\n\nevent: x\r\ndata: 2\r\n\r\ndata: [DONE]\n\n'
ENDS = (16, 29, 50, 64)


@pytest.mark.parametrize("size", range(1, len(STREAM) + 1))
def test_nothing_goes_out_but_whole_events_and_nothing_is_lost(size):
    events, out = WholeEvents(), b""
    for start in range(0, len(STREAM), size):
        out += events.cut(STREAM[start : start + size])
        assert len(out) in (0, *ENDS) and events.whole
    assert out == STREAM and events.rest() == b""


def test_a_piece_of_whole_events_is_passed_on_itself():
    piece = b"data: 1\n\ndata: 2\n\n"
    assert WholeEvents().cut(piece) is piece


def test_what_is_held_is_there_at_the_end():
    events = WholeEvents()
    assert events.cut(b"data: 1\n\ndata: 2\n") == b"data: 1\n\n"
    assert events.rest() == b"data: 2\n" and events.rest() == b""


def test_an_event_beyond_the_limit_is_passed_on_as_it_comes():
    events, piece = WholeEvents(), b"x" * (HELD_BYTES // 2)
    passed = [events.cut(b"data: "), events.cut(piece), events.cut(piece), events.cut(b"end\n\n")]
    assert passed[:2] == [b"", b""] and len(passed[2]) == 6 + 2 * len(piece)
    assert passed[3] == b"end\n\n" and events.whole
    events.cut(b"data: " + 2 * piece + b"x")
    assert not events.whole
