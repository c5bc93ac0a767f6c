"""Engines of every shape that the contract allows."""

import pytest


@pytest.fixture(scope="module")
def host(start):
    def begin(name: str, **fields):
        order = {"engine": f"small_engines:{name}", "options": "small_engines:NoOptions", **fields}
        return start(order).ready()

    return begin


@pytest.fixture(scope="module")
def sync(host):
    return host("SyncGenerator")


def test_a_sync_generator_runs_on_a_thread(sync, events) -> None:
    assert sync.complete(max_tokens=3).json()["choices"][0]["text"] == "t0.25 1 2 3 "
    assert sync.complete(max_tokens=2, temperature=1).json()["choices"][0]["text"] == "t1.0 1 2 "
    pieces = events(sync.chat(max_tokens=3, stream=True).text)
    assert "".join(c["delta"].get("content", "") for p in pieces for c in p["choices"]) == "t0.25 1 2 3 "
    assert pieces[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_sync_generator_is_closed_when_its_client_leaves(sync, wait) -> None:
    before = sync.log().count("generator closed")
    body = {"model": "m", "prompt": "x", "stream": True}
    with sync.new_client() as client, client.stream("POST", "/v1/completions", json=body) as answer:
        next(answer.iter_lines())
    wait(lambda: sync.log().count("generator closed") == before + 1, 2)
    wait(lambda: sync.health()["in_flight"] == 0)
    assert sync.complete(max_tokens=1).status_code == 200


def test_a_sync_generator_is_closed_at_a_stop_string(sync, wait) -> None:
    before = sync.log().count("generator closed")
    assert sync.complete(stop=" 3").json()["choices"][0]["text"] == "t0.25 1 2"
    wait(lambda: sync.log().count("generator closed") == before + 1, 2)


def test_choices_of_a_sync_engine_run_together(sync) -> None:
    body = sync.complete(n=8, max_tokens=5).json()
    assert [choice["text"] for choice in body["choices"]] == ["t0.25 1 2 3 4 5 "] * 8


def test_a_sync_flood_keeps_its_order_and_loses_nothing(host, events) -> None:
    pieces = events(host("Flood").complete(max_tokens=5000, stream=True).text)
    assert "".join(piece["choices"][0]["text"] for piece in pieces) == "x" * 5000


def test_pieces_of_an_engine_that_never_waits_are_not_delayed(host) -> None:
    runner = host("SelfishAsync")
    sizes = []
    body = {"model": "m", "prompt": "x", "stream": True}
    with runner.new_client() as client, client.stream("POST", "/v1/completions", json=body) as answer:
        sizes = [chunk.count(b"data:") for chunk in answer.iter_raw()]
    assert len(sizes) >= 5, (
        "each of 20 pieces took 20 ms to compute and is a write of its own; a slow reader joins some"
    )


def test_a_plain_method_may_return_an_async_generator(host) -> None:
    runner = host("ReturnsAsync")
    assert runner.complete("p").json()["choices"][0]["text"] == "p"
    answer = runner.chat().json()
    assert answer["choices"][0]["message"]["content"] == "[1, 2, 3]"
    runner.process.terminate()
    assert runner.exit() == 0 and "closed later" in runner.log()


def test_a_coroutine_may_return_an_iterator(host) -> None:
    choice = host("CoroutineOfIterator").complete().json()["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == ("ab", "stop")


def test_what_is_no_piece_is_the_engines_failure(host) -> None:
    answer = host("NotPieces").complete()
    assert answer.status_code == 500 and "yielded str" in answer.json()["detail"]


def test_exceptions_before_any_piece(host) -> None:
    runner = host("RaisesAtOnce")
    for answer, word in [(runner.complete(), "ZeroDivisionError"), (runner.chat(), "KeyError")]:
        assert answer.status_code == 500 and answer.json()["error"]["code"] == "engine_failed"
        assert word in answer.json()["detail"] and word in runner.log()


def test_an_engine_may_answer_chats_itself(host, events) -> None:
    runner = host("OwnChat")
    assert runner.chat("dict").json()["id"] == "own"
    assert runner.chat("bytes").json() == {"id": "own", "choices": []}
    assert "generated_tokens_total 3" in runner.metrics()
    text = runner.chat("any", stream=True).text
    assert [piece["id"] for piece in events(text)] == ["own", "own"] and text.endswith("data: [DONE]\n\n")
    assert runner.chat("refuse").status_code == 400
    assert runner.chat("nonsense").status_code == 500
    assert runner.chat(messages=[]).status_code == 400
    assert runner.chat("any", stream=True, messages=[]).status_code == 400


def test_a_thread_left_behind_does_not_keep_the_process(host) -> None:
    runner = host("HoldsThread")
    runner.process.terminate()
    assert runner.exit() == 0 and "closed" in runner.log()


def test_an_engine_that_calls_exit_while_loading_leaves_a_failure(start) -> None:
    runner = start({"engine": "small_engines:Exits", "options": "small_engines:NoOptions"})
    assert runner.exit() == 1
    assert "no such device" in (runner.folder / "failure.json").read_text()
