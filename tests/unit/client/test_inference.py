from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from enginehouse.client import AsyncChatModelHandle, AsyncClient, ChatModelHandle, ClientError
from enginehouse.client.answers import EventDecoder

HELLO = [{"role": "user", "content": "Hello!"}]
CHAT = {"id": "m", "model_type": "LLM", "model_ability": ["chat", "generate"]}
ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}]}
STREAM = {"stream": True}


def event(text: str) -> str:
    return f'data: {{"choices": [{{"index": 0, "delta": {{"content": "{text}"}}}}]}}\r\n\r\n'


def texts(events: list[Any]) -> list[str]:
    return [event["choices"][0]["delta"]["content"] for event in events]


async def test_a_chat_sends_the_conversation(server: Any, face: Any, run: Any) -> None:
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": ANSWER})
    handle = await run(face(server.url).get_model, "m")
    assert await run(handle.chat, HELLO, generate_config={"max_tokens": 8}) == ANSWER
    assert server.asked("POST")[0]["json"] == {"model": "m", "messages": HELLO, "max_tokens": 8}
    await run(handle.close)


async def test_a_chat_may_have_tools_and_thinking(server: Any, face: Any, run: Any) -> None:
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": ANSWER})
    handle = await run(face(server.url).get_model, "m")
    tools = [{"type": "function", "function": {"name": "weather"}}]
    for config in (None, {"chat_template_kwargs": {"mood": "good"}}, {"chat_template_kwargs": '{"mood": "good"}'}):
        await run(handle.chat, HELLO, tools, enable_thinking=False, generate_config=config)
    bodies = [asked["json"] for asked in server.asked("POST")]
    switches = {"enable_thinking": False, "thinking": False}
    assert [body["chat_template_kwargs"] for body in bodies] == [switches, *[{"mood": "good", **switches}] * 2]
    assert bodies[0]["tools"] == tools


async def test_a_text_is_continued(server: Any, face: Any, run: Any) -> None:
    answer = {"choices": [{"index": 0, "text": " time"}]}
    server.play({"GET /v1/models/m": {**CHAT, "model_ability": ["generate"]}, "POST /v1/completions": answer})
    handle = await run(face(server.url).get_model, "m")
    assert not isinstance(handle, ChatModelHandle | AsyncChatModelHandle)
    assert await run(handle.generate, "Once upon a", {"temperature": 0}) == answer
    assert server.asked("POST")[0]["json"] == {"model": "m", "prompt": "Once upon a", "temperature": 0}


@pytest.mark.parametrize("description", [{"model_type": "odd"}, {"model_type": "LLM", "model_ability": ["odd"]}, {}])
async def test_there_is_no_handle_for_what_nobody_knows(server: Any, face: Any, run: Any, description: Any) -> None:
    server.play({"GET /v1/models/m": {"id": "m", **description}})
    with pytest.raises(ValueError, match="'m' is of type"):
        await run(face(server.url).get_model, "m")


async def test_a_stream_gives_its_events_and_leaves_done_out(server: Any, face: Any, run: Any, collect: Any) -> None:
    pieces = [": a comment\r\n\r\n", event("Hel"), event("lo"), "data: [DONE]\r\n\r\n"]
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": [{"pieces": pieces}]})
    handle = await run(face(server.url).get_model, "m")
    stream = await run(handle.chat, HELLO, generate_config=STREAM)
    assert texts(await collect(stream, [])) == ["Hel", "lo"]


async def test_a_completion_streams_too(server: Any, face: Any, run: Any, collect: Any) -> None:
    server.play({"GET /v1/models/m": CHAT, "POST /v1/completions": [{"pieces": [event("a"), event("b")]}]})
    handle = await run(face(server.url).get_model, "m")
    assert texts(await collect(await run(handle.generate, "x", STREAM), [])) == ["a", "b"]


@pytest.mark.parametrize("error", ['"worker died"', '{"message": "worker died", "code": "worker_lost"}'])
async def test_an_error_in_a_stream_is_raised_after_what_came_before(
    server: Any, face: Any, run: Any, collect: Any, error: str
) -> None:
    pieces = [event("Hel") + f'data: {{"error": {error}}}\n\n']
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": [{"pieces": pieces}]})
    stream = await run((await run(face(server.url).get_model, "m")).chat, HELLO, generate_config=STREAM)
    events: list[Any] = []
    with pytest.raises(RuntimeError, match="worker died"):
        await collect(stream, events)
    assert texts(events) == ["Hel"]


async def test_a_stream_that_breaks_off_is_an_error(server: Any, face: Any, run: Any, collect: Any) -> None:
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": [{"pieces": [event("Hel")], "then": "break"}]})
    stream = await run((await run(face(server.url).get_model, "m")).chat, HELLO, generate_config=STREAM)
    events: list[Any] = []
    with pytest.raises(ClientError, match="was lost"):
        await collect(stream, events)
    assert texts(events) == ["Hel"]


async def test_a_refused_stream_is_refused_at_once(server: Any, face: Any, run: Any) -> None:
    refusal = {"status": 503, "json": {"detail": "still loading"}}
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": [refusal]})
    handle = await run(face(server.url).get_model, "m")
    with pytest.raises(ClientError, match="still loading") as caught:
        await run(handle.chat, HELLO, generate_config=STREAM)
    assert caught.value.status == 503


async def test_closing_a_stream_closes_its_connection(server: Any, face: Any, run: Any) -> None:
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": [{"pieces": [event("a")], "then": "hold"}]})
    stream = await run((await run(face(server.url).get_model, "m")).chat, HELLO, generate_config=STREAM)
    await run(getattr(stream, "aclose", None) or stream.close)
    assert await asyncio.to_thread(server.wait_for, server.left) == ["POST /v1/chat/completions"]


async def test_leaving_a_with_closes_a_stream(server: Any, face: Any, run: Any) -> None:
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": [{"pieces": [event("a")], "then": "hold"}]})
    stream = await run((await run(face(server.url).get_model, "m")).chat, HELLO, generate_config=STREAM)
    if hasattr(stream, "__aenter__"):
        async with stream:
            assert texts([await anext(stream)]) == ["a"]
    else:
        with stream:
            assert texts([next(stream)]) == ["a"]
    assert await asyncio.to_thread(server.wait_for, server.left)


async def test_a_forgotten_stream_does_not_keep_the_model_busy(server: Any, run: Any) -> None:
    from enginehouse.client import Client

    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": [{"pieces": [event("a")], "then": "hold"}]})
    handle = Client(server.url).get_model("m")
    assert isinstance(handle, ChatModelHandle)
    handle.chat(HELLO, generate_config=STREAM)
    gc.collect()
    assert await asyncio.to_thread(server.wait_for, server.left)


@pytest.mark.parametrize("read", [0, 1])
async def test_nor_does_one_of_the_asynchronous_client(server: Any, read: int) -> None:
    server.play({"GET /v1/models/m": CHAT, "POST /v1/chat/completions": [{"pieces": [event("a")], "then": "hold"}]})
    client = AsyncClient(server.url)
    stream = await (await client.get_model("m")).chat(HELLO, generate_config=STREAM)  # type: ignore[attr-defined]
    for _ in range(read):
        await anext(stream)
    del stream
    gc.collect()
    assert await asyncio.to_thread(server.wait_for, server.left)
    await client.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_however_the_bytes_are_cut(size: int) -> None:
    text = "blue\u2028whale\u0085 \U0001f433"
    data = f': ping\r\n\r\ndata:{{"text": "{text}"}}\r\n\r\ndata: {{}}\n\ndata: [DONE]\n\n'.encode()
    decoder = EventDecoder("test")
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [event for piece in pieces for event in decoder.feed(piece)] == [{"text": text}, {}]


def test_an_event_that_is_no_json_is_an_error() -> None:
    with pytest.raises(ClientError, match="no JSON"):
        list(EventDecoder("test").feed(b"data: <html>\n"))
