"""Engines that break, hang or flood, clients that leave: what happens to the rest."""

import functools
import json
import threading
from pathlib import Path

import httpx
import pytest

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def last_event(text: str) -> tuple[str, dict]:
    block = text.rstrip("\n").rpartition("\n\n")[2]
    kind, data = block.split("\n")
    return kind, json.loads(data[6:])


def test_an_exception_in_mid_stream_ends_the_stream_with_an_error(start) -> None:
    runner = start(raise_at_token=3, token_seconds=0.01).ready()
    answer = runner.chat(stream=True)
    assert answer.status_code == 200 and "[DONE]" not in answer.text
    kind, data = last_event(answer.text)
    assert kind == "event: error"
    assert data["error"]["code"] == "engine_failed" and "broke at token 3" in data["detail"]
    assert "Traceback" in runner.log() and "RuntimeError" in runner.log()
    assert runner.stats()["pid"] == runner.process.pid
    assert 'errors_total{code="engine_failed"} 1' in runner.metrics()


def test_an_exception_before_the_first_piece_is_a_clean_500(start) -> None:
    runner = start(raise_at_token=1).ready()
    for stream in (False, True):
        answer = runner.chat(stream=stream)
        assert answer.status_code == 500 and answer.json()["error"]["type"] == "server_error"
        assert "RuntimeError" in answer.json()["detail"]


def test_one_failing_choice_fails_the_request(start) -> None:
    runner = start(raise_at_token=2).ready()
    assert runner.chat(n=3).status_code == 500
    assert runner.health()["in_flight"] == 0


def test_a_crash_in_mid_stream_breaks_the_connection(start) -> None:
    runner = start(crash_at_token=3, token_seconds=0.01).ready()
    with pytest.raises(httpx.RemoteProtocolError):
        runner.chat(stream=True)
    assert runner.exit() == 3


def test_a_crash_at_a_request(start) -> None:
    runner = start(crash_at_request=2).ready()
    assert runner.chat().status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        runner.chat()
    assert runner.exit() == 3


def test_a_client_that_leaves_in_mid_stream_stops_the_engine(start, wait) -> None:
    runner = start(tokens=1_000_000, token_seconds=0.001).ready()
    with runner.new_client() as client, client.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
        lines_of_answer = answer.iter_lines()  # kept: a dropped iterator closes the stream
        next(lines_of_answer)
        assert runner.health()["in_flight"] == 1
    wait(lambda: runner.stats()["cancelled"] == 1, 2)
    wait(lambda: runner.health()["in_flight"] == 0)
    assert "cancelled_total 1" in runner.metrics()


def test_an_answer_that_ends_by_itself_is_not_cancelled(start) -> None:
    runner = start(tokens=4000).ready()
    for stream in (False, True):
        runner.chat(stream=stream, n=2, max_tokens=3)
    assert (runner.stats()["finished"], runner.stats()["cancelled"]) == (4, 0)
    runner.chat(stop="word3")
    assert runner.stats()["cancelled"] == 1


def test_a_client_that_leaves_while_it_waits_stops_the_engine(start, wait) -> None:
    runner = start(stall_at_token=2).ready()

    def left(stream: bool, count: int) -> bool:  # one that left before the engine had it counts for nothing
        with runner.new_client() as client, pytest.raises(httpx.TimeoutException):
            client.post("/v1/chat/completions", json={**CHAT, "stream": stream}, timeout=0.2)
        return bool(runner.stats()["cancelled"] > count)

    for stream in (False, True):
        wait(functools.partial(left, stream, runner.stats()["cancelled"]))
    wait(lambda: runner.health()["in_flight"] == 0)


def test_a_stalled_request_hurts_only_itself(start) -> None:
    runner = start(stall_at_token=16).ready()
    with runner.new_client() as client, client.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
        lines_of_answer = answer.iter_lines()  # kept: a dropped iterator closes the stream
        next(lines_of_answer)
        assert runner.chat(max_tokens=3).status_code == 200


def test_a_full_queue_says_when_to_come_again(start) -> None:
    runner = start({"queue_length": 2}, stall_at_token=2).ready()
    with runner.new_client() as one, runner.new_client() as two:
        with one.stream("POST", "/v1/chat/completions", json=CHAT) as first:
            lines_of_first = first.iter_lines()  # kept: a dropped iterator closes the stream
            next(lines_of_first)
            with two.stream("POST", "/v1/chat/completions", json=CHAT) as second:
                lines_of_second = second.iter_lines()  # kept: a dropped iterator closes the stream
                next(lines_of_second)
                answer = runner.chat()
    assert answer.status_code == 429 and answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["code"] == "overloaded"


def test_a_flood_leaves_others_their_turn(start) -> None:
    runner = start({"context_length": None}, flood=True).ready()
    with runner.new_client() as client:
        body = {**CHAT, "max_tokens": 10_000_000}
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            for _ in range(20):
                assert runner.chat(max_tokens=2).status_code == 200
            assert runner.stats()["tokens_generated"] < 1_000_000, "an unread stream must hold the engine back"
            next(lines)


def test_a_blocked_event_loop_recovers(start) -> None:
    runner = start(block_seconds=0.2).ready()
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(_once(runner))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [200] * 3


def _once(runner) -> int:
    with runner.new_client() as client:
        return client.post("/v1/chat/completions", json={**CHAT, "stream": False}).status_code


def test_a_leak_can_be_seen(start) -> None:
    runner = start(leak_bytes=20_000_000).ready()

    def resident() -> int:
        return int(Path(f"/proc/{runner.process.pid}/statm").read_text().split()[1]) * 4096

    before = resident()
    for _ in range(3):
        runner.chat()
    assert resident() - before > 50_000_000


def test_connections_opened_and_dropped(plain, wait) -> None:
    import socket

    for number in range(200):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(plain.order.socket)
            if number % 2:
                connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
    wait(lambda: plain.health()["in_flight"] == 0)
    assert plain.chat().status_code == 200
