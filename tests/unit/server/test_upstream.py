"""Connections to workers, against servers that misbehave byte by byte."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from enginehouse.server.upstream import Pool, WorkerGone

HEAD = b"POST /x HTTP/1.1\r\nhost: worker\r\ncontent-length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(path: Any, talk: Talk):
    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_unix_server(attend, path):
        yield Pool(str(path))


async def whole(pool: Pool) -> bytes:
    answer, body = await pool.ask(HEAD, b"{}")
    while piece := await answer.piece():
        body += piece
    return body


async def request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(len(HEAD) + 2)


async def test_a_connection_that_closed_while_idle_is_not_the_worker_s_death(tmp_path):
    connections = 0

    async def answers_one_request_each(reader, writer):
        nonlocal connections
        connections += 1
        await request(reader)
        writer.write(OK)
        await request(reader)  # the second is read, and not answered

    async with server(tmp_path / "s", answers_one_request_each) as pool:
        assert [await whole(pool) for _ in range(3)] == [b"ok"] * 3
        assert connections == 3
        pool.close()


async def test_connections_are_used_again(tmp_path):
    connections = 0

    async def answers_on(reader, writer):
        nonlocal connections
        connections += 1
        while await request(reader):
            writer.write(OK)

    async with server(tmp_path / "s", answers_on) as pool:
        for _ in range(5):
            assert await whole(pool) == b"ok"
        assert connections == 1
        assert await asyncio.gather(*(whole(pool) for _ in range(4))) == [b"ok"] * 4
        assert connections == 4
        pool.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK, b"ok"),
    ],
)
async def test_framings_of_an_answer(tmp_path, answer, body):
    async def byte_by_byte(reader, writer):
        await request(reader)
        for byte in answer:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)

    async with server(tmp_path / "s", byte_by_byte) as pool:
        assert await asyncio.wait_for(whole(pool), 5) == body
        pool.close()


@pytest.mark.parametrize("answer", [b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\ncontent-le", b"\x00" * 100])
async def test_what_is_no_answer(tmp_path, answer):
    async def says(reader, writer):
        await request(reader)
        writer.write(answer)

    async with server(tmp_path / "s", says) as pool:
        with pytest.raises(WorkerGone) as caught:
            await asyncio.wait_for(whole(pool), 5)
        assert caught.value.begun


async def test_bytes_that_nobody_asked_for_do_not_become_the_next_answer(tmp_path):
    async def says_too_much(reader, writer):
        await request(reader)
        writer.write(OK)
        await writer.drain()
        writer.write(OK.replace(b"ok", b"no"))
        await request(reader)

    async with server(tmp_path / "s", says_too_much) as pool:
        assert await whole(pool) == b"ok"
        await asyncio.sleep(0.01)
        assert await whole(pool) == b"ok"
        pool.close()


async def test_a_full_backlog_is_waited_for(tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(0)
    pool = Pool(str(tmp_path / "s"))
    asking = [asyncio.ensure_future(whole(pool)) for _ in range(20)]
    await asyncio.sleep(0.02)
    assert not any(one.done() for one in asking)

    async def answer_once(reader, writer):
        await request(reader)
        writer.write(OK)
        writer.close()

    async with await asyncio.start_unix_server(answer_once, sock=listener):
        assert await asyncio.wait_for(asyncio.gather(*asking), 5) == [b"ok"] * 20
    pool.close()


async def test_nobody_listens(tmp_path):
    with pytest.raises(WorkerGone, match="cannot be reached"):
        await whole(Pool(str(tmp_path / "nobody")))


async def test_a_worker_on_the_network_is_asked_alike():
    async def answers(reader, writer):
        while True:
            await request(reader)
            writer.write(OK)

    async with await asyncio.start_server(answers, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        pool = Pool(f"127.0.0.1:{port}")
        assert [await whole(pool) for _ in range(2)] == [b"ok"] * 2
        pool.close()
    with pytest.raises(WorkerGone, match="cannot be reached"):
        await whole(pool)
