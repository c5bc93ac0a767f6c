"""The middleware in front of a small server that answers as vLLM's does."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from struct import pack
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from enginehouse.sdk import RunnerOrder, WorkerOrder
from enginehouse_vllm.inside import Inside
from enginehouse_vllm.wire import ORDER, Wire

Make = Callable[..., Any]


class Tokenizer:
    """Words are tokens."""

    chat_template = "own"

    def __len__(self) -> int:
        return 100

    def __call__(self, *texts: str) -> dict[str, list[int]]:
        return {"input_ids": self.encode(" ".join(texts))}

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [len(word) for word in text.split()] + [1] * add_special_tokens

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return " ".join(map(str, ids))

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [f"t{token}" for token in ids]

    def apply_chat_template(self, turns: Any, **options: Any) -> str:
        return f"{turns[-1]['content']}>"


class Engine:
    errored = False

    class model_config:
        max_model_len = 16

        @staticmethod
        def get_vocab_size() -> int:
            return 100

    def get_tokenizer(self) -> Tokenizer:
        return Tokenizer()


class SleepingEngine(Engine):
    """called: what its sleep mode was asked; wakes: whether it comes back whole."""

    class model_config(Engine.model_config):
        enable_sleep_mode = True

    def __init__(self) -> None:
        self.called: list[str] = []
        self.wakes: bool | None = True

    async def sleep(self, level: int = 1, mode: str = "abort") -> None:
        self.called.append(f"sleep {level}")

    async def wake_up(self, tags: list[str] | None = None) -> bool | None:
        self.called.append("wake_up")
        return self.wakes


class SmallVllm:
    """What vLLM's server would say. asked: the bodies it got; left: requests that were given up."""

    def __init__(self, engine: Engine) -> None:
        self.asked: list[dict[str, Any]] = []
        self.left = 0
        self.breaks = False
        self.text = "Hello there"
        self.refuses: tuple[int, dict[str, Any]] | None = None
        self.holds = asyncio.Event()
        self.holds.set()
        routes = [
            Route("/v1/chat/completions", self._generate, methods=["POST"]),
            Route("/v1/completions", self._generate, methods=["POST"]),
            Route("/v1/embeddings", self._embed, methods=["POST"]),
            Route("/v1/rerank", self._rerank, methods=["POST"]),
            Route("/metrics", lambda request: PlainTextResponse("vllm:things 1\n")),
            Route("/version", lambda request: JSONResponse({"version": "0"})),
            Route("/v1/responses/none", lambda request: JSONResponse({"error": "no such response"}, 404)),
        ]
        self.app = Starlette(routes=routes)
        self.app.state.engine_client = engine
        self.app.add_middleware(Wire)

    async def _generate(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        if self.refuses is not None:
            status, error = self.refuses
            return JSONResponse({"error": {"type": "BadRequestError", "code": status, **error}}, status)
        every = bool(body.get("stream_options", {}).get("continuous_usage_stats"))
        return StreamingResponse(self._events("messages" in body, every), media_type="text/event-stream")

    async def _events(self, chat: bool, every: bool) -> AsyncIterator[str]:
        words = self.text.split(" ")
        try:
            for number, word in enumerate(words):
                text = word if number == 0 else f" {word}"
                told = {"usage": {"prompt_tokens": 4, "completion_tokens": number + 1}} if every else {}
                yield _event({"delta": {"content": text}} if chat else {"text": text}, **told)
                await self.holds.wait()
                if self.breaks:
                    yield 'data: {"error": {"message": "dead", "code": 500}}\n\n'
                    return
            yield _event(
                {"delta": {}, "text": "", "finish_reason": "stop"} if chat else {"text": "", "finish_reason": "stop"}
            )
            usage = {"prompt_tokens": 4, "completion_tokens": len(words) + 1}
            yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.left += 1
            raise

    async def _embed(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        data = [
            {"index": number, "embedding": b64encode(pack("<2f", 1, number)).decode()}
            for number in reversed(range(len(body["input"])))
        ]
        return JSONResponse({"data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}})

    async def _rerank(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        results = [{"index": number, "relevance_score": number / 10} for number in range(len(body["documents"]))]
        return JSONResponse({"results": results, "usage": {"prompt_tokens": 5, "total_tokens": 5}})


def _event(choice: dict[str, Any], **more: Any) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, **choice}], **more})}\n\n"


@pytest.fixture
async def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Starts the server for an order; returns it and a client of its application."""
    stops: list[asyncio.Event] = []
    lives: list[asyncio.Task[None]] = []
    clients: list[httpx.AsyncClient] = []

    async def make(engine: Engine | None = None, **runner: Any) -> tuple[SmallVllm, httpx.AsyncClient]:
        fields: dict[str, Any] = {"tasks": ("generate", "chat"), "abilities": ("chat", "tools"), **runner}
        order = WorkerOrder(
            worker_id="w", model_uid="mine", token="t", folder=str(tmp_path), socket="", control="", argv=("python",),
            runner=RunnerOrder(engine="", options="", model_path=str(tmp_path), device="cpu", **fields),
        )  # fmt: skip
        (tmp_path / "order.json").write_bytes(msgspec.json.encode(order))
        monkeypatch.setenv(ORDER, str(tmp_path / "order.json"))
        server, stop, started = SmallVllm(engine or Engine()), asyncio.Event(), asyncio.Event()
        stops.append(stop)
        lives.append(asyncio.create_task(_live(server.app, stop, started)))
        await asyncio.wait_for(started.wait(), 10)
        clients.append(httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://worker"))
        return server, clients[-1]

    yield make
    for client in clients:
        await client.aclose()
    for stop in stops:
        stop.set()
    await asyncio.gather(*lives)


async def _live(app: Any, stop: asyncio.Event, started: asyncio.Event) -> None:
    began = False

    async def receive() -> dict[str, str]:
        nonlocal began
        if not began:
            began = True
            return {"type": "lifespan.startup"}
        await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            started.set()

    await app({"type": "lifespan", "app": app, "asgi": {"version": "3.0"}}, receive, send)


async def test_a_start_that_fails_ends_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is raised in a lifespan is taken for a server without one, which would serve on and never be ready."""
    runner = RunnerOrder(engine="", options="", model_path=str(tmp_path), device="cpu", tasks=("generate", "chat"))
    runner = msgspec.structs.replace(runner, option_values={"loras": 1})
    order = WorkerOrder(
        worker_id="w", model_uid="mine", token="t", folder=str(tmp_path), socket="", control="", argv=("python",),
        runner=runner,
    )  # fmt: skip
    (tmp_path / "order.json").write_bytes(msgspec.json.encode(order))
    monkeypatch.setenv(ORDER, str(tmp_path / "order.json"))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    app: Any = SmallVllm(Engine()).app
    await app({"type": "lifespan", "app": app, "asgi": {"version": "3.0"}}, asyncio.Event().wait, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "loras" in sent[0]["message"] and "loras" in (tmp_path / "failure.json").read_text()


CHAT = {"model": "mine", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_chat(worker: Make) -> None:
    server, client = await worker()
    answer = (await client.post("/v1/chat/completions", json={**CHAT, "temperature": 0.5})).json()
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello there"}
    assert answer["usage"] == {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    assert server.asked[0]["messages"] == [{"role": "user", "content": "hi"}] and server.asked[0]["temperature"] == 0.5


async def test_a_stream(worker: Make) -> None:
    _, client = await worker()
    answer = await client.post("/v1/completions", json={"model": "mine", "prompt": "hi", "stream": True})
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    assert "".join(event["choices"][0]["text"] for event in events) == "Hello there"
    assert events[-1]["choices"][0]["finish_reason"] == "stop" and "[DONE]" not in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices(worker: Make, stream: bool) -> None:
    server, client = await worker()
    answer = await client.post(
        "/v1/completions", json={"model": "mine", "prompt": "hi", "n": 2, "seed": 1, "stream": stream}
    )
    assert answer.text.count("Hello") == 2 and [body["seed"] for body in server.asked] == [1, 2]


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_is_stated_where_it_is_asked_for(worker: Make, stream: bool) -> None:
    _, client = await worker()
    headers = {"x-enginehouse-usage": "1"}
    answer = await client.post("/v1/chat/completions", json={**CHAT, "stream": stream}, headers=headers)
    assert (": usage 4 3 " in answer.text) if stream else answer.headers["x-enginehouse-usage"].startswith("4 3 ")


@pytest.mark.parametrize("n", [1, 2])
async def test_an_error_in_mid_stream_is_its_last_event(worker: Make, n: int) -> None:
    server, client = await worker()
    server.breaks = True
    answer = await client.post("/v1/chat/completions", json={**CHAT, "stream": True, "n": n})
    assert answer.status_code == 200 and "event: error" in answer.text and "engine_failed" in answer.text
    assert "Hello" in answer.text and "[DONE]" not in answer.text


async def test_a_stop_string(worker: Make) -> None:
    server, client = await worker()
    server.text = "one two three"
    answer = (await client.post("/v1/completions", json={"model": "mine", "prompt": "hi", "stop": " tw"})).json()
    assert answer["choices"][0]["text"] == "one" and server.asked[0]["stop"] == [" tw"]


async def test_more_stop_strings_than_vllm_takes(worker: Make) -> None:
    server, client = await worker()
    server.text = "one two three"
    body = {"model": "mine", "prompt": "hi", "stop": ["a1", "a2", "a3", "a4", " tw"]}
    answer = (await client.post("/v1/completions", json=body)).json()
    assert answer["choices"][0] == {"index": 0, "text": "one", "finish_reason": "stop", "logprobs": None}
    assert server.asked[0]["stop"] == ["a1", "a2", "a3", "a4"] and answer["usage"]["prompt_tokens"] == 4


async def test_the_models_own_stop_strings_are_not_vllms_to_wait_for(worker: Make) -> None:
    server, client = await worker(stop=(" three",))
    server.text = "one two three"
    answer = (await client.post("/v1/completions", json={"model": "mine", "prompt": "hi"})).json()
    assert answer["choices"][0]["text"] == "one two" and "stop" not in server.asked[0]


async def test_tool_calls_and_reasoning_are_read_here(worker: Make) -> None:
    parsers = "enginehouse.builtin.parsers"
    server, client = await worker(
        tool_parser=f"{parsers}.hermes:HermesParser", reasoning_parser=f"{parsers}.think:ThinkParser"
    )
    server.text = '<think>hm</think><tool_call>{"name": "f", "arguments": {}}</tool_call>'
    tools = [{"type": "function", "function": {"name": "f"}}]
    message = (await client.post("/v1/chat/completions", json={**CHAT, "tools": tools})).json()["choices"][0]["message"]
    assert message["reasoning_content"] == "hm" and message["tool_calls"][0]["function"]["name"] == "f"
    assert server.asked[0]["tool_choice"] == "none" and server.asked[0]["tools"]


async def test_a_parser_that_the_launch_names(worker: Make) -> None:
    server, client = await worker(option_values={"tool_call_parser": "pythonic"})
    server.text = "[f(x=1)]"
    tools = [{"type": "function", "function": {"name": "f"}}]
    message = (await client.post("/v1/chat/completions", json={**CHAT, "tools": tools})).json()["choices"][0]["message"]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x":1}'}


async def test_fields_of_vllms_own(worker: Make) -> None:
    server, client = await worker()
    await client.post("/v1/chat/completions", json={**CHAT, "min_tokens": 3, "nonsense": 1})
    await client.post("/v1/chat/completions", json=CHAT)
    assert server.asked[0]["min_tokens"] == 3 and "nonsense" not in server.asked[0]
    assert "min_tokens" not in server.asked[1]


async def test_what_vllm_refuses(worker: Make) -> None:
    server, client = await worker()
    server.refuses = (400, {"message": "no such thing (parameter=min_tokens, value=1)", "param": "min_tokens"})
    answer = await client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "no such thing", "type": "invalid_request_error", "param": "min_tokens", "code": "invalid_request",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("route", "body", "param"),
    [
        ("/v1/completions", {"prompt": ""}, "prompt"),
        ("/v1/completions", {"prompt": [100]}, "prompt"),
        ("/v1/completions", {"prompt": "a", "logit_bias": {"100": 1}}, "logit_bias"),
        ("/v1/completions", {"prompt": "a", "lora_name": "x"}, "lora_name"),
        ("/v1/completions", {"prompt": "a", "guided_regex": "a", "ignore_eos": True}, "ignore_eos"),
        ("/v1/chat/completions", {"messages": []}, "messages"),
        ("/v1/detokenize", {"tokens": [100]}, "tokens"),
        ("/v1/embeddings", {"input": "a"}, "model"),
    ],
    ids=str,
)
async def test_what_is_refused_before_vllm_is_asked(worker: Make, route: str, body: Any, param: str) -> None:
    server, client = await worker()
    answer = await client.post(route, json={"model": "mine", **body})
    assert (answer.status_code, answer.json()["error"]["param"], server.asked) == (400, param, [])


async def test_images_are_sent_on_and_never_fetched(worker: Make) -> None:
    server, client = await worker(abilities=("chat", "vision"))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = {"model": "mine", "messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, image]}]}
    assert (await client.post("/v1/chat/completions", json=asked)).status_code == 200
    assert server.asked[0]["messages"][0]["content"][1] == image
    image["image_url"] = {"url": "http://127.0.0.1/secret"}
    refused = await client.post("/v1/chat/completions", json=asked)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages[0].content[1]")


async def test_tokens(worker: Make) -> None:
    _, client = await worker()
    answer = (
        await client.post("/v1/tokenize", json={"model": "mine", "prompt": "a bc", "return_token_strs": True})
    ).json()
    assert answer == {"count": 3, "max_model_len": 16, "tokens": [1, 2, 1], "token_strs": ["t1", "t2", "t1"]}


async def test_health_metrics_and_other_routes(worker: Make) -> None:
    server, client = await worker()
    health = (await client.get("/health")).json()
    assert (health["state"], health["context_length"], health["in_flight"]) == ("ready", 16, 0)
    page = (await client.get("/metrics")).text
    assert "vllm:things 1" in page and "enginehouse_worker_in_flight 0" in page
    assert (await client.get("/version")).json() == {"version": "0"}
    server.app.state.engine_client.errored = True
    assert (await client.get("/health")).status_code == 503


async def test_vectors(worker: Make) -> None:
    server, client = await worker(tasks=("embed",))
    body = {"model": "mine", "input": ["a b", "word " * 30]}
    answer = (await client.post("/v1/embeddings", json=body)).json()
    assert [one["embedding"] for one in answer["data"]] == [[1.0, 0.0], [1.0, 1.0]]
    assert answer["truncated"] == [1] and server.asked[0]["truncate_prompt_tokens"] == 16
    refused = await client.post("/v1/embeddings", json={**body, "truncate": False})
    assert refused.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"return_sparse": True}, "return_sparse"),
        ({"prompt_name": "x"}, "prompt_name"),
        ({"input": [[5, 100]]}, "input[0]"),
    ],
    ids=str,
)
async def test_vectors_that_cannot_be(worker: Make, fields: dict[str, Any], param: str) -> None:
    _, client = await worker(tasks=("embed",))
    answer = await client.post("/v1/embeddings", json={"model": "mine", "input": "a", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_scores(worker: Make) -> None:
    server, client = await worker(tasks=("rerank",))
    body = {"model": "mine", "query": "q", "documents": ["a", "b", "word " * 30], "top_n": 2, "normalize": False}
    answer = (await client.post("/v1/rerank", json=body)).json()
    assert [(one["index"], one["relevance_score"]) for one in answer["results"]] == [(2, 0.2), (1, 0.1)]
    assert "1 documents" in answer["meta"]["warnings"][0] and server.asked[0]["use_activation"] is False


async def test_a_request_that_is_given_up_is_given_up_at_vllm() -> None:
    server = SmallVllm.__new__(SmallVllm)
    server.text, server.left, server.refuses, server.asked, server.breaks = "a b c", 0, None, [], False
    server.holds = asyncio.Event()
    app = Starlette(routes=[Route("/v1/completions", server._generate, methods=["POST"])])
    stream = Inside(app, app).stream("/v1/completions", b"{}")
    assert (await anext(stream)).status == 200
    await stream.aclose()
    assert server.left == 1


async def test_it_sleeps_and_wakes_by_vllms_engine(worker: Make) -> None:
    engine = SleepingEngine()
    _, client = await worker(engine)
    assert (await client.get("/health")).json()["can_sleep"] is True
    asleep = await client.post("/sleep")
    assert (asleep.status_code, asleep.json()["state"], engine.called) == (200, "asleep", ["sleep 1"])
    refused = await client.post("/v1/chat/completions", json=CHAT)
    assert refused.status_code == 503 and "is asleep" in refused.json()["detail"]
    assert (await client.post("/sleep")).status_code == 200 and engine.called == ["sleep 1"]
    assert (await client.post("/wake")).json()["state"] == "ready"
    assert engine.called == ["sleep 1", "wake_up"]
    assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200


@pytest.mark.parametrize(("said", "status", "state"), [(None, 200, "ready"), (False, 500, "failed")])
async def test_one_that_wakes_in_part_is_of_no_use(worker: Make, said: bool | None, status: int, state: str) -> None:
    """Versions of before say nothing; a half-awake one would answer from memory that it does not have."""
    engine = SleepingEngine()
    engine.wakes = said
    _, client = await worker(engine)
    await client.post("/sleep")
    assert (await client.post("/wake")).status_code == status
    assert (await client.get("/health")).json()["state"] == state


async def test_without_vllms_sleep_mode_it_cannot(worker: Make) -> None:
    _, client = await worker()
    assert (await client.get("/health")).json()["can_sleep"] is False
    assert (await client.post("/sleep")).status_code == 400


async def test_it_does_not_sleep_over_a_request(worker: Make) -> None:
    engine = SleepingEngine()
    server, client = await worker(engine)
    server.holds.clear()
    asking = asyncio.create_task(client.post("/v1/chat/completions", json=CHAT))
    while not server.asked:
        await asyncio.sleep(0.01)
    refused = await client.post("/sleep")
    assert refused.status_code == 409 and "answers 1 requests" in refused.text
    assert engine.called == []
    server.holds.set()
    assert (await asking).status_code == 200
    assert (await client.post("/sleep")).status_code == 200 and engine.called == ["sleep 1"]


async def test_a_route_that_nobody_has_is_refused_by_our_rules_and_not_one_of_vllms(worker: Make) -> None:
    _, client = await worker()
    for method, path in (("POST", "/v1/no/such/route"), ("GET", "/nowhere")):
        answer = await client.request(method, path, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), answer.text
        assert f"There is no {method} {path} here." in answer.json()["detail"]
    answer = await client.get("/v1/responses/none")
    assert (answer.status_code, answer.json()) == (404, {"error": "no such response"})
