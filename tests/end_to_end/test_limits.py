"""Limits of requests at once, with and without a queue."""

import threading
from collections.abc import Callable

import httpx


def stream(server, uid: str) -> Callable[[], None]:
    """Opens a stream and reads its first event; returns what ends it."""
    client = httpx.Client(base_url=server.url, timeout=60)
    body = {"model": uid, "prompt": "x", "stream": True}
    opened = client.send(client.build_request("POST", "/v1/completions", json=body), stream=True)
    assert opened.status_code == 200
    lines = opened.iter_lines()
    next(lines)

    def end() -> None:
        lines.close()  # kept until here: a generator that is thrown away closes the stream
        client.close()

    return end


def test_beyond_the_limit_requests_are_refused(server, wait) -> None:
    uid = server.launch(model_uid="limited", request_limits=1, tokens=400, token_seconds=0.02)
    end = stream(server, uid)
    answer = server.complete(uid)
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    assert "Rate limit reached for the model. Request limit 1 for the model: limited" in answer.json()["detail"]
    end()
    wait(lambda: server.complete(uid, max_tokens=1).status_code == 200, what="a turn after the stream has gone")
    server.client.delete(f"/v1/models/{uid}")


def test_each_replica_has_the_limit(server) -> None:
    uid = server.launch(model_uid="two", replica=2, request_limits=1, tokens=400, token_seconds=0.02)
    ends = [stream(server, uid), stream(server, uid)]
    assert server.complete(uid).status_code == 429
    for end in ends:
        end()
    server.client.delete(f"/v1/models/{uid}")


def test_a_limit_of_zero_refuses_all(server) -> None:
    uid = server.launch(model_uid="closed", request_limits=0, queue_length=5)
    assert server.complete(uid).status_code == 429
    server.client.delete(f"/v1/models/{uid}")


def test_a_queue_lets_requests_wait(server) -> None:
    uid = server.launch(model_uid="queued", request_limits=1, queue_length=3, tokens=4, first_token_seconds=0.3)
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            statuses.append(client.post("/v1/completions", json={"model": uid, "prompt": "x"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [200, 200, 200, 200, 429, 429]
    server.client.delete(f"/v1/models/{uid}")


def test_a_wait_in_the_queue_is_bounded(new_server) -> None:
    server = new_server(ENGINEHOUSE_QUEUE_LENGTH="5", ENGINEHOUSE_QUEUE_SECONDS="0.2")
    uid = server.launch(model_uid="patient", request_limits=1, tokens=400, token_seconds=0.02)
    end = stream(server, uid)
    assert server.complete(uid).status_code == 429
    end()


def test_a_limit_that_makes_no_sense_is_refused(server) -> None:
    for fields in ({"request_limits": -1}, {"request_limits": 1, "queue_length": -1}, {"keep_alive": -1}):
        answer = server.client.post("/v1/models", json={"model_name": "fake-model", **fields})
        assert answer.status_code == 400, fields
