"""What a file wants against what is declared."""

from __future__ import annotations

import pytest

from enginehouse.cli.comparison import Change, Running, Step, compare, differences, to_do

STOKER = {"model_uid": "stoker", "model_name": "stoker"}


def test_what_is_missing_is_launched_and_what_is_there_stays() -> None:
    declared = {"stoker": Running("READY", STOKER)}
    other = {"model_uid": "b", "model_name": "stoker"}
    steps = compare({"stoker": STOKER, "b": other}, declared, prune=False)
    assert steps == [Step("same", "stoker", STOKER, (), "READY"), Step("launch", "b", other)]
    assert to_do(steps) == [Step("launch", "b", other)]


@pytest.mark.parametrize("changes", [{"replica": 2}, {"keep_alive": 60.0, "request_limits": 0}, {"on_demand": True}])
def test_what_needs_no_other_worker_is_changed_in_place(changes: dict[str, object]) -> None:
    (step,) = compare({"stoker": {**STOKER, **changes}}, {"stoker": Running("READY", STOKER)}, prune=False)
    assert step.kind == "change" and to_do([step]) == [step]
    assert {change.field: change.then for change in step.changes} == changes
    (back,) = compare({"stoker": STOKER}, {"stoker": Running("ERROR", {**STOKER, **changes})}, prune=False)
    assert back.kind == "relaunch"


@pytest.mark.parametrize("said", ["LLM", "llm", None])
def test_a_type_said_otherwise_is_no_difference(said: str | None) -> None:
    assert (
        differences({**STOKER, "model_type": said}, STOKER) == differences(STOKER, {**STOKER, "model_type": said}) == ()
    )
    assert differences({**STOKER, "model_type": "rerank"}, STOKER) == (Change("model_type", "rerank", None),)


def test_what_differs_is_launched_again_and_says_where() -> None:
    wanted = {**STOKER, "replica": 2, "options": {"tokens": 3, "echo": True}}
    now = {**STOKER, "options": {"tokens": 2, "echo": True}, "keep_alive": 60.0}
    (step,) = compare({"stoker": wanted}, {"stoker": Running("READY", now)}, prune=False)
    assert step.kind == "relaunch"
    assert step.changes == (
        Change("keep_alive", 60.0, None),
        Change("options.tokens", 2, 3),
        Change("replica", None, 2),
    )


@pytest.mark.parametrize(("status", "kind"), [("ERROR", "relaunch"), ("UNLOADED", "same"), ("LOADING", "same")])
def test_what_has_failed_is_launched_again(status: str, kind: str) -> None:
    (step,) = compare({"stoker": STOKER}, {"stoker": Running(status, STOKER)}, prune=False)
    assert step.kind == kind


@pytest.mark.parametrize(("prune", "kind"), [(True, "end"), (False, "leave")])
def test_what_the_file_does_not_name_ends_only_when_pruned_and_then_first(prune: bool, kind: str) -> None:
    steps = compare({"a": STOKER}, {"old": Running("READY", STOKER)}, prune)
    assert [(step.kind, step.uid) for step in steps] == [(kind, "old"), ("launch", "a")]
    assert len(to_do(steps)) == 1 + prune


@pytest.mark.parametrize(("one", "other"), [("0_5", 0.5), ("7", 7), (7.0, 7), ("0.5", "0_5")])
def test_sizes_are_equal_however_they_are_spelled(one: object, other: object) -> None:
    assert not differences({"model_size_in_billions": one}, {"model_size_in_billions": other})


def test_what_is_null_was_not_set() -> None:
    assert not differences({"options": {}}, {"quantization": None})
    assert differences({"keep_alive": 0}, {}) == (Change("keep_alive", 0, None),)
