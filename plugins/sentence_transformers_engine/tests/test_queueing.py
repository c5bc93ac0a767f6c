"""What makes a batch: like lengths, every caller's turn, and no more than the budget."""

from enginehouse_sentence_transformers.queueing import Item, Queue
from enginehouse_sentence_transformers.words import Tokens


class Owner:
    def __init__(self, caller: str) -> None:
        self.caller = caller


def items(caller: str, *lengths: int, kind: str = "k") -> list[Item]:
    owner = Owner(caller)
    return [Item(Tokens([1] * length), kind, owner, place) for place, length in enumerate(lengths)]


def filled(**callers: list[Item]) -> Queue:
    queue = Queue()
    for caller, some in callers.items():
        queue.add(caller, some)
    return queue


def lengths(batch: list[Item]) -> list[int]:
    return sorted(item.length for item in batch)


def test_callers_share_a_batch() -> None:
    queue = filled(a=items("a", 5, 6), b=items("b", 5), c=items("c", 7))
    assert {item.owner.caller for item in queue.take(100)} == {"a", "b", "c"}
    assert not queue and queue.tokens == 0


def test_a_batch_keeps_to_its_budget_with_padding() -> None:
    queue = filled(a=items("a", *range(1, 100)))
    seen = 0
    while batch := queue.take(64):
        assert max(lengths(batch)) * len(batch) <= 64 or len(batch) == 1
        seen += len(batch)
    assert seen == 99 and queue.tokens == 0


def test_one_that_is_larger_than_the_budget_goes_alone() -> None:
    queue = filled(a=items("a", 500, 3))
    assert lengths(queue.take(64)) == [500]
    assert lengths(queue.take(64)) == [3]


def test_the_short_do_not_wait_beside_the_long() -> None:
    queue = filled(a=items("a", 4, 400, 5, 410, 6))
    assert lengths(queue.take(10_000)) == [4, 5, 6]
    assert lengths(queue.take(10_000)) == [400, 410]


def test_a_small_request_is_not_behind_a_huge_one() -> None:
    queue = filled(huge=items("huge", *[20] * 5000), small=items("small", 20))
    batch = queue.take(200)
    assert "small" in {item.owner.caller for item in batch}


def test_a_small_request_of_another_length_has_the_next_turn() -> None:
    queue = filled(huge=items("huge", *[200] * 500), small=items("small", 5))
    takers = [{item.owner.caller for item in queue.take(800)} for _ in range(2)]
    assert {"small"} in takers


def test_kinds_do_not_mix() -> None:
    queue = filled(a=items("a", 5, 5), b=items("b", 5, kind="other"))
    assert {item.kind for item in queue.take(100)} == {"k"}
    assert {item.kind for item in queue.take(100)} == {"other"}


def test_order_within_a_caller_is_kept_for_what_is_put_back() -> None:
    queue = filled(a=items("a", *[10] * 50))
    places = []
    while batch := queue.take(30):
        places += sorted(item.place for item in batch)
    assert sorted(places) == list(range(50))
    assert places[:3] == [0, 1, 2]


def test_a_caller_that_left_is_forgotten() -> None:
    queue = filled(a=items("a", 5, 5), b=items("b", 7))
    queue.forget("a")
    queue.forget("nobody")
    assert queue.tokens == 7
    assert lengths(queue.take(100)) == [7]
