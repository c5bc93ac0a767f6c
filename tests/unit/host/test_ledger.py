from itertools import permutations
from random import Random

from enginehouse.host.ledger import MACHINE, Holding, Room, make_room


def holding(uid: str, size: int, used: float = 0.0, state: str = "idle", pool: str = MACHINE) -> Holding:
    return Holding(uid, {pool: size}, used, state)  # type: ignore[arg-type]


def test_where_there_is_room_nobody_gives_way() -> None:
    assert make_room({MACHINE: 5}, {MACHINE: 5}, [holding("a", 9)]) == Room()


def test_the_least_recently_used_gives_way_whatever_the_order() -> None:
    held = [holding("old", 3, used=1), holding("older", 3, used=0), holding("new", 9, used=2)]
    for order in permutations(held):
        assert make_room({MACHINE: 8}, {MACHINE: 3}, order).evict == ("older", "old")


def test_no_more_give_way_than_needed() -> None:
    held = [holding("a", 100, used=0), holding("b", 100, used=1)]
    assert make_room({MACHINE: 10}, {MACHINE: 0}, held).evict == ("a",)


def test_those_in_use_pinned_or_loading_stay() -> None:
    held = [holding(state, 100, state=state) for state in ("in use", "pinned", "loading")]
    assert make_room({MACHINE: 10}, {MACHINE: 4}, held) == Room(short={MACHINE: 6})


def test_nobody_is_unloaded_in_vain() -> None:
    assert make_room({MACHINE: 10}, {MACHINE: 0}, [holding("a", 9)]) == Room(short={MACHINE: 1})


def test_only_those_who_hold_what_is_short() -> None:
    held = [holding("a", 100, used=0), holding("b", 100, used=1, pool="cuda:0")]
    need, free = {MACHINE: 1, "cuda:0": 50}, {MACHINE: 10, "cuda:0": 10}
    assert make_room(need, free, held).evict == ("b",)


def test_a_memory_that_nobody_knows_is_taken_to_have_room() -> None:
    assert make_room({MACHINE: 10, "mps:0": 10}, {MACHINE: None}, []) == Room()


def test_whatever_is_decided_holds() -> None:
    """For any mixture: what gives way is idle, makes enough room, and the last of it was needed."""
    draw = Random(7)
    states = ("idle", "in use", "pinned", "loading")
    for _ in range(2000):
        held = [
            holding(str(number), draw.randrange(10), draw.random(), draw.choice(states))
            for number in range(draw.randrange(7))
        ]
        need, free = draw.randrange(30), draw.randrange(10)
        room = make_room({MACHINE: need}, {MACHINE: free}, held)
        by_uid = {one.model_uid: one for one in held}
        given = [by_uid[uid].takes[MACHINE] for uid in room.evict]
        idle = [one for one in held if one.state == "idle"]
        assert all(by_uid[uid].state == "idle" for uid in room.evict)
        if room.short:
            assert not room.evict and free + sum(one.takes[MACHINE] for one in idle) < need
        else:
            assert free + sum(given) >= need and (not given or free + sum(given[:-1]) < need)
