import pytest

from enginehouse.host.spreading import deal, spread
from enginehouse.sdk import Device

GIB = 2**30


def devices(*free: int) -> list[Device]:
    return [Device(kind="cuda", index=index, free_bytes=size * GIB) for index, size in enumerate(free)]


def indexes(places: tuple[tuple[Device, ...], ...]) -> list[list[int]]:
    return [[device.index for device in place] for place in places]


@pytest.mark.parametrize(
    ("replicas", "each", "free", "expected"),
    [
        (1, 1, (10, 20), [[1]]),
        (2, 1, (10, 80), [[1], [0]]),  # one each, although the second could hold both
        (2, 2, (10, 20, 30, 40), [[3, 2], [1, 0]]),
        (3, 1, (10, 80), [[1], [0], [1]]),
        (4, 1, (20, 30), [[1], [0], [1], [0]]),  # a third of 30 is as much as half of 20: the less used one
        (2, 2, (10, 20, 30), [[2, 1], [2, 0]]),
        (2, 0, (10,), [[], []]),
        (1, 0, (), [[]]),
    ],
)
def test_spread(replicas: int, each: int, free: tuple[int, ...], expected: list[list[int]]) -> None:
    assert indexes(spread(replicas, each, devices(*free))) == expected


def test_devices_that_tell_nothing_are_used_in_turn() -> None:
    assert indexes(spread(4, 1, devices(0, 0))) == [[0], [1], [0], [1]]


def test_deal() -> None:
    first, second = devices(1, 1)
    assert indexes(deal(2, [first, second])) == [[0], [1]]
    assert indexes(deal(1, [second, first])) == [[1, 0]]
    assert indexes(deal(2, [first, first])) == [[0], [0]]
    assert indexes(deal(3, [first, second])) == [[0], [1], [0]]
    assert indexes(deal(1, [first, first])) == [[0]]
