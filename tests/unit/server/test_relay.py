"""The relay against real workers: bytes, faults, and clients that leave."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from typing import Any

import aiohttp
import pytest

PIECE = b"x" * 65536


async def test_bytes_go_through_unchanged(gateway, worker):
    gateway.route(worker, uid="modèle 模型 🏠")
    body = '{ "z":1.50, "model" :"modèle 模型 🏠","a":"\\u00e9"}'.encode()
    response, answer = await gateway.chat(body)
    assert response.status == 200
    assert answer["body"].encode() == body
    assert answer["path"] == "/v1/chat/completions"


async def test_only_known_headers_come_back(gateway, worker):
    gateway.route(worker)
    response, _ = await gateway.chat({}, Authorization="Bearer secret", **{"X-Request-Id": "req-7"})
    assert response.headers["x-request-id"] == "req-7"
    assert response.headers["content-type"] == "application/json"
    assert "x-hidden" not in response.headers
    passed = await worker.seen("headers")
    assert passed["x-request-id"] == "req-7"
    assert "authorization" not in passed


async def test_a_callers_trace_goes_on_to_the_worker(gateway, worker):
    gateway.route(worker)
    parent = f"00-{'4b' * 16}-{'0f' * 8}-01"
    await gateway.chat({}, traceparent=parent, tracestate="vendor=7")
    passed = await worker.seen("headers")
    assert (passed["traceparent"], passed["tracestate"]) == (parent, "vendor=7")
    await gateway.chat({}, traceparent="nonsense", tracestate="vendor=7")
    assert not {"traceparent", "tracestate"} & (await worker.seen("headers")).keys()


async def test_a_request_without_an_id_gets_one(gateway, worker):
    gateway.route(worker)
    first, _ = await gateway.chat({})
    second, _ = await gateway.chat({}, **{"X-Request-Id": "no good word"})
    assert len({first.headers["x-request-id"], second.headers["x-request-id"], "no good word"}) == 3


async def test_errors_of_the_worker_pass(gateway, worker):
    gateway.route(worker)
    response, answer = await gateway.chat({"do": "refuse"})
    assert (response.status, response.headers["retry-after"]) == (429, "7")
    assert answer["detail"] == "full"


async def test_every_event_comes_when_it_is_made(gateway, worker):
    """The worker makes an event only after this test has read the one before."""
    gateway.route(worker)
    async with gateway.open_chat({"do": "events", "n": 5, "steps": True}) as response:
        for number in range(5):
            async with asyncio.timeout(10):
                assert await response.content.readany() == b"data: %d\n\n" % number
            await worker.get("/step")
        assert await response.content.read() == b"data: [DONE]\n\n"


async def test_big_bodies_and_big_streams(gateway, worker):
    gateway.route(worker)
    long = "ä" * 500_000
    _, answer = await gateway.chat({"prompt": long})
    assert json.loads(answer["body"])["prompt"] == long
    async with gateway.open_chat({"do": "flood", "n": 200}) as response:
        digest = hashlib.sha256()
        async for piece in response.content.iter_any():
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(PIECE * 200).digest()


async def test_a_slow_client_holds_the_worker_back(gateway, worker, until):
    gateway.route(worker)
    async with gateway.open_chat({"do": "flood", "n": 4000}) as response:
        assert await response.content.readexactly(1)
        last = -1

        async def stands_still() -> bool:
            nonlocal last
            before, last = last, await worker.seen("sent")
            await asyncio.sleep(0.05)
            return bool(last and last == before)

        await until(stands_still)
        assert last < 400 * len(PIECE)  # a tenth; the kernel's own buffers grow to several megabytes on each side


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_stops_the_worker(gateway, worker, until, stream):
    (replica,) = gateway.route(worker)
    left, asked = await worker.seen("left"), await worker.seen("asked")
    request = asyncio.ensure_future(gateway.chat({"do": "stall", "stream": stream}))

    async def arrived() -> bool:
        return bool(await worker.seen("asked") > asked)

    await until(arrived)
    assert replica.in_flight == 1
    request.cancel()

    async def gone() -> bool:
        return bool(await worker.seen("left") > left)

    await until(gone)
    assert replica.in_flight == 0
    assert 'status="499"' in await (await gateway.session.get("/metrics")).text()


async def test_a_client_that_leaves_while_uploading_reaches_no_worker(gateway, worker):
    gateway.route(worker)
    asked = await worker.seen("asked")
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"model": "m"')
    await writer.drain()
    writer.close()
    await gateway.chat({})
    assert await worker.seen("asked") == asked + 1


async def test_a_worker_that_dies_before_its_first_byte_is_replaced(gateway, worker, start_worker):
    doomed = start_worker()
    replicas = gateway.route(doomed, worker)
    doomed.process.kill()
    doomed.process.wait()
    response, answer = await gateway.chat({})
    assert (response.status, answer["pid"]) == (200, worker.process.pid)
    assert [replica.in_flight for replica in replicas] == [0, 0]


async def test_two_deaths_are_enough(gateway, worker, start_worker):
    replicas = gateway.route(start_worker(), start_worker(), worker)
    asked = await worker.seen("asked")
    response, answer = await gateway.chat({"do": "die"})
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    assert answer["error"]["code"] == "worker_lost"
    assert await worker.seen("asked") == asked
    assert [replica.in_flight for replica in replicas] == [0, 0, 0]


async def test_the_only_worker_dies(gateway, start_worker):
    gateway.route(start_worker())
    response, answer = await gateway.chat({"do": "die"})
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    assert "the only one" in answer["detail"]


async def test_a_worker_that_does_not_listen(gateway, tmp_path):
    gateway.route(str(tmp_path / "nobody.sock"))
    response, answer = await gateway.chat({})
    assert (response.status, answer["error"]["code"]) == (503, "worker_lost")


@pytest.mark.parametrize("tail", ["", 'data: {"ha', "data: 1\n", "data: 1\n\ndata: 2\r\n\r\nid: 3\nda", ": pi"])
async def test_a_stream_that_breaks_ends_with_an_error_event(gateway, start_worker, tail):
    gateway.route(start_worker())
    async with gateway.open_chat({"do": "die", "after": "events", "tail": tail}) as response:
        whole = await response.text()
    complete = ["data: 0", *(["data: 1", "data: 2"] if "data: 2" in tail else [])]
    *events, last, after = whole.replace("\r\n", "\n").split("\n\n")
    assert events == complete and after == ""
    name, data = last.split("\n")
    assert name == "event: error"
    error = json.loads(data.removeprefix("data: "))
    assert error["error"]["code"] == "worker_lost"
    assert error["detail"] == error["error"]["message"]


async def test_an_event_in_pieces_arrives_whole(gateway, worker):
    """What a dying worker's half event and a slow worker's have in common: more may come, or not."""
    gateway.route(worker)
    async with gateway.open_chat(
        {"do": "parts", "parts": ["data: {", '"a"', ": 1}\n", "\ndata: 2", "\n\n"]}
    ) as response:
        pieces = [piece async for piece in response.content.iter_any()]
    assert b"".join(pieces) == b'data: {"a": 1}\n\ndata: 2\n\n'
    assert pieces[0].startswith(b'data: {"a": 1}\n\n')


async def test_a_stream_that_ends_well_loses_nothing(gateway, worker):
    gateway.route(worker)
    async with gateway.open_chat({"do": "parts", "parts": ["data: 1\n\n", "data: [DONE]\n"]}) as response:
        assert await response.content.read() == b"data: 1\n\ndata: [DONE]\n"


async def test_half_an_answer_is_not_taken_for_whole(gateway, start_worker):
    gateway.route(start_worker())
    with pytest.raises(aiohttp.ClientPayloadError):
        await gateway.chat({"do": "die", "after": "body"})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"model": "m"} x', "not JSON"),
        (b'{"model": "\xff"}', "not JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b"{}", "`model`"),
        (b'{"model": 7}', "$.model"),
        (b'{"model": null}', "$.model"),
        (b'{"model": ["m"]}', "$.model"),
    ],
)
async def test_bad_bodies(gateway, worker, body, says):
    gateway.route(worker)
    response, answer = await gateway.chat(body)
    assert response.status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert says in answer["detail"] == answer["error"]["message"]


async def chunks(total: int) -> Any:
    for _ in range(total // len(PIECE) + 1):
        yield PIECE


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_beyond_the_limit(gateway, worker, settings, declared):
    gateway.route(worker)
    size = settings.body_bytes + 1
    data = b"x" * size if declared else chunks(size)
    async with gateway.session.post("/v1/chat/completions", data=data) as response:
        answer = await response.json()
    assert (response.status, answer["error"]["code"]) == (413, "request_too_large")
    assert "ENGINEHOUSE_BODY_BYTES" in answer["detail"]
    assert (await gateway.chat({}))[0].status == 200


async def test_models_that_cannot_answer(gateway, worker):
    gateway.route(worker)
    response, answer = await gateway.chat(b'{"model": "other"}')
    assert (response.status, answer["error"]["code"]) == (404, "model_not_found")
    assert "Running models: m" in answer["detail"]
    gateway.route(uid="other")
    response, answer = await gateway.chat(b'{"model": "other"}')
    assert (response.status, answer["error"]["code"]) == (503, "model_loading")
    assert int(response.headers["retry-after"]) > 0
    gateway.route(worker, uid="other")
    assert (await gateway.chat(b'{"model": "other"}'))[0].status == 200
    async with gateway.session.post("/v1/completions", data=b'{"model": "m"}') as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "not_supported")


async def test_the_least_busy_replica_is_asked(gateway, worker, start_worker):
    busy, free = gateway.route(worker, start_worker())
    busy.in_flight = 1
    _, answer = await gateway.chat({})
    assert answer["pid"] != worker.process.pid
    assert (busy.in_flight, free.in_flight) == (1, 0)


async def test_a_thousand_connections_opened_and_dropped(gateway, worker, until, open_files):
    gateway.route(worker)
    await gateway.chat({})
    before = open_files()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 29\r\n\r\n"
    words = (b"", b"POST /v1", request, request + b'{"model": "m", "do": "stall"}')
    for number in range(1000):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(words[number % len(words)])
        writer.transport.abort() if number % 2 else writer.close()

    async def quiet() -> bool:
        return open_files() <= before + 2

    await until(quiet)
    assert (await gateway.chat({}))[0].status == 200


async def test_small_answers_are_not_held_back(gateway, worker):
    gateway.route(worker)
    await gateway.chat({})
    (connection,) = gateway.server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(21):
        began = loop.time()
        await gateway.chat({})
        took.append(loop.time() - began)
    assert sorted(took)[10] < 0.03  # a delayed acknowledgement costs 0.04 s each


async def test_metrics(gateway, worker):
    gateway.route(worker)
    await gateway.chat({})
    await gateway.chat(b'{"model": "nobody"}')
    async with gateway.session.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    assert 'enginehouse_requests_total{model="m",status="200",task="chat"} 1.0' in lines
    assert 'enginehouse_requests_total{model="",status="404",task="chat"} 1.0' in lines
    assert 'enginehouse_request_seconds_count{model="m",task="chat"} 1.0' in lines
    assert 'enginehouse_requests_in_flight{model="m",task="chat"} 0.0' in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
