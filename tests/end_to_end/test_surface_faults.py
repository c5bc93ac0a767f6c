"""What breaks below the translated surfaces: workers that die, full queues, clients that leave, keys."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx
import openai
import pytest

ROUTES = {
    "/v1/messages": {"max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi"},
}
FIRST_KEY = re.compile(r"^    (eh-[\w-]{43})$", re.M)
TIMEOUT = 60.0


@pytest.fixture
def launched(server):
    """Launches a fake model that is ended with the test."""
    uids = []

    def launch(uid, **options):
        uids.append(server.launch(model_uid=uid, **options))
        return uids[-1]

    yield launch
    for uid in uids:
        server.client.delete(f"/v1/models/{uid}")


def message_of(answer) -> str:
    return answer.json()["error"]["message"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_worker_that_dies_in_mid_answer(server, launched, route) -> None:
    uid = launched("fragile", tokens=20, token_seconds=0.005, crash_at_token=5)
    body = {"model": uid, **ROUTES[route]}
    with server.client.stream("POST", route, json=body | {"stream": True}) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    assert response.status_code == 200 and "died" in json.dumps(events[-1])
    assert events[-1]["type"] in ("error", "response.failed")


@pytest.mark.parametrize("route", ROUTES)
def test_an_answer_in_one_piece_is_whole_or_an_error(server, launched, route) -> None:
    uid = launched("brittle", tokens=20, token_seconds=0.005, crash_at_token=5)
    answer = server.client.post(route, json={"model": uid, **ROUTES[route]})
    assert answer.status_code == 503 and "died" in message_of(answer)


@pytest.mark.parametrize("route", ROUTES)
def test_an_engine_that_raises_in_mid_answer(server, launched, route) -> None:
    uid = launched("clumsy", tokens=20, raise_at_token=5)
    body = {"model": uid, **ROUTES[route]}
    answer = server.client.post(route, json=body)
    assert answer.status_code == 500 and "token 5" in message_of(answer)
    with server.client.stream("POST", route, json=body | {"stream": True}) as response:
        text = response.read().decode()
    assert "token 5" in text and "message_stop" not in text and "completed" not in text


@pytest.mark.parametrize("route", ROUTES)
def test_a_client_that_leaves_frees_the_engine(server, launched, wait, route) -> None:
    uid = launched("long", tokens=100_000, token_seconds=0.01)

    def seen(name):
        answer = server.complete(uid, "stats")
        return json.loads(answer.json()["choices"][0]["text"])[name]

    with server.client.stream("POST", route, json={"model": uid, "stream": True, **ROUTES[route]}) as response:
        next(response.iter_lines())
    wait(lambda: seen("cancelled") == 1, what="the engine's end of the stream")

    def left_again():  # one that left before the engine had it counts for nothing
        with pytest.raises(httpx.TimeoutException):
            httpx.post(server.url + route, json={"model": uid, **ROUTES[route]}, timeout=0.3)
        return seen("cancelled") >= 2

    wait(left_again, what="the engine's end of the whole answer")
    none = re.compile(rf'enginehouse_requests_in_flight{{model="{uid}",task="chat"}} 0.0')
    wait(lambda: none.search(server.client.get("/metrics").text), what="the end of all requests")


def test_a_full_queue_is_a_rate_limit_error(server, launched) -> None:
    uid = launched("narrow", tokens=100_000, token_seconds=0.01, request_limits=1)
    with server.client.stream(
        "POST", "/v1/messages", json={"model": uid, "stream": True, **ROUTES["/v1/messages"]}
    ) as response:
        lines = response.iter_lines()  # held: a generator that is thrown away closes the stream
        next(lines)
        with anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=0, timeout=TIMEOUT) as client:
            with pytest.raises(anthropic.RateLimitError) as caught:
                client.messages.create(model=uid, **ROUTES["/v1/messages"])
        assert caught.value.body["error"]["type"] == "rate_limit_error"
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0, timeout=TIMEOUT) as client:
            with pytest.raises(openai.RateLimitError):
                client.responses.create(model=uid, input="hi")


def test_many_at_once_are_not_mixed_up(server, launched) -> None:
    uid = launched("echoing", echo=True)

    def ask(number):
        words = f"number {number} of many"
        messages = [{"role": "user", "content": words}]
        answer = server.client.post("/v1/messages", json={"model": uid, "max_tokens": 50, "messages": messages})
        return answer.json()["content"][0]["text"] == words

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))


def test_keys_are_asked_for_in_each_surfaces_way(new_server, wait) -> None:
    server = new_server(ENGINEHOUSE_REQUIRE_KEY="1")
    (admin,) = wait(lambda: FIRST_KEY.findall(server.log()), what="the first key")
    server.client.headers["authorization"] = f"Bearer {admin}"
    server.launch(model_uid="m", tokens=3)
    made = server.client.post("/v1/keys", json={"name": "ann", "models": ["m"]})
    assert made.is_success, made.text
    user = made.json()["key"]
    fields = {"model": "m", **ROUTES["/v1/messages"]}
    for key, expected in (("wrong", anthropic.AuthenticationError), (user, None)):
        with anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0, timeout=TIMEOUT) as client:
            if expected is None:
                assert client.messages.create(**fields).content[0].text
                with pytest.raises(anthropic.PermissionDeniedError) as denied:
                    client.messages.create(**fields | {"model": "other"})
                assert denied.value.body["error"]["type"] == "permission_error"
                continue
            with pytest.raises(expected) as caught:
                client.messages.create(**fields)
            assert caught.value.body["error"]["type"] == "authentication_error"
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=user, max_retries=0, timeout=TIMEOUT) as client:
        kept = client.responses.create(model="m", input="hi")
        assert client.responses.retrieve(kept.id).output_text == kept.output_text
