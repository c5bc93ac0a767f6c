"""One request is aborted by its id, and nothing else."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from xinference_client import RESTfulClient

SLOW = {"token_seconds": 0.05, "tokens": 2000}


@pytest.fixture(scope="module")
def slow(server):
    return server.launch("fake-model", **SLOW)


@pytest.fixture
def abort(server, slow):
    def abort(request_id, uid=slow, **body):
        answer = server.client.post(f"/v1/models/{uid}/requests/{request_id}/abort", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["msg"]

    return abort


@pytest.fixture
def abort_when_it_runs(abort, wait):
    """The request may not have arrived yet; without blocking its id it will."""
    return lambda request_id: wait(lambda: abort(request_id, block_duration=0) == "DONE", what="the abort")


def stats(server, uid):
    answer = server.client.post(
        "/v1/chat/completions", json={"model": uid, "messages": [{"role": "user", "content": "stats"}]}
    )
    return json.loads(answer.json()["choices"][0]["message"]["content"])


def body_of(uid, **fields):
    return {"model": uid, "messages": [{"role": "user", "content": "hi"}], **fields}


@pytest.mark.parametrize("named_by", ["body", "header"])
def test_an_answer_that_has_not_begun(server, slow, abort_when_it_runs, wait, named_by) -> None:
    before = stats(server, slow)["cancelled"]
    body = body_of(slow, request_id="one") if named_by == "body" else body_of(slow)
    headers = {"X-Request-Id": "one"} if named_by == "header" else {}
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
        abort_when_it_runs("one")
        answer = asked.result(60)
    assert answer.status_code == 499 and answer.json()["error"]["code"] == "cancelled" and "one" in answer.text
    assert answer.headers["x-request-id"] == "one"
    wait(lambda: stats(server, slow)["cancelled"] == before + 1, what="the engine's end of it")


@pytest.mark.parametrize(
    ("route", "field"),
    [("/v1/chat/completions", {}), ("/v1/messages", {"max_tokens": 1000}), ("/v1/responses", {"input": "hi"})],
)
def test_a_stream_in_its_midst(server, slow, abort, route, field) -> None:
    body = body_of(slow, stream=True) | field
    headers = {"X-Request-Id": "two"}
    with server.client.stream("POST", route, json=body, headers=headers) as response:
        lines = response.iter_lines()
        assert response.status_code == 200 and next(lines)
        assert abort("two", block_duration=0) == "DONE"
        rest = "\n".join(lines)
    assert "aborted" in rest and "[DONE]" not in rest


def test_an_id_stays_blocked_for_a_while(server, slow, abort) -> None:
    assert abort("three") == "NOT_FOUND"
    answer = server.client.post("/v1/chat/completions", json=body_of(slow, max_tokens=1, request_id="three"))
    assert answer.status_code == 499 and "blocked" in answer.json()["detail"]
    assert server.client.post("/v1/chat/completions", json=body_of(slow, max_tokens=1, request_id="four")).is_success
    assert abort("three", block_duration=0) == "NOT_FOUND"
    again = server.client.post("/v1/chat/completions", json=body_of(slow, max_tokens=1, request_id="three"))
    assert again.status_code == 499  # an abort without a block takes no other's block away


def test_what_is_not_there(server, abort) -> None:
    assert abort("five", block_duration=0) == "NOT_FOUND"
    assert abort("five", uid="nosuch") == "NO_OP"
    wrong = server.client.post("/v1/models/fake-model/requests/x/abort", json={"block_duration": -1})
    assert wrong.status_code == 400 and wrong.json()["error"]["param"] == "block_duration"


def test_the_client_aborts(server, slow) -> None:
    from enginehouse.client import Client

    with Client(server.url) as client:
        assert client.abort_request(slow, "six", block_duration=0) == {"msg": "NOT_FOUND"}


def test_xinferences_client_aborts(server, slow) -> None:
    client = RESTfulClient(server.url)
    assert client.abort_request(slow, "seven", 0) == {"msg": "NOT_FOUND"}
