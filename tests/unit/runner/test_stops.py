"""Stop strings cut the same wherever the text is sliced, and never leak."""

import random

import pytest

from enginehouse.runner.stops import StopScanner


def run(stops, slices) -> tuple[str, bool]:
    scanner = StopScanner(stops)
    out = ""
    for text in slices:
        out += scanner.feed(text)
        if scanner.stopped:
            return out, True
    return out + scanner.finish(), False


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        (("END",), "hello END world", ("hello ", True)),
        (("END",), "hello EN", ("hello EN", False)),
        (("END",), "EEND", ("E", True)),
        (("aab",), "aaab", ("a", True)),
        (("\n\n", "\nUser:"), "x\nUser: y", ("x", True)),
        (("abc", "b"), "xabc", ("xa", True)),
        (("bc", "abc"), "xabc", ("x", True)),
        (("é!",), "caffé!", ("caff", True)),
        (("x",), "", ("", False)),
    ],
)
def test_every_slicing_gives_the_same(stops, text, expected) -> None:
    assert run(stops, [text]) == run(stops, list(text)) == expected
    for at in range(len(text)):
        assert run(stops, [text[:at], text[at:]]) == expected


def test_random_texts_and_stops_do_not_depend_on_slicing() -> None:
    chance = random.Random(3)
    for _ in range(500):
        text = "".join(chance.choices("ab\n", k=20))
        stops = tuple({"".join(chance.choices("ab\n", k=chance.randint(1, 4))) for _ in range(3)})
        places = sorted(chance.sample(range(21), 4))
        slices = [text[a:b] for a, b in zip([0, *places], [*places, 20], strict=True)]
        out, stopped = run(stops, slices)
        assert (out, stopped) == run(stops, [text])
        assert not any(stop in out for stop in stops)
        assert stopped == any(stop in text for stop in stops)


def test_only_what_may_become_a_stop_is_held_back() -> None:
    scanner = StopScanner(("STOP",))
    assert scanner.feed("abc") == "abc"
    assert scanner.feed("d ST") == "d "
    assert scanner.feed("x") == "STx"
    assert scanner.feed("STO") == ""
    assert scanner.finish() == "STO"
