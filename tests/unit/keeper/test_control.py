"""The control protocol against a running keeper."""

from __future__ import annotations

import contextlib
import json
import socket
import time

import pytest

from enginehouse.keeper.control import parse_command

SLEEP = "exec sleep 60"


def test_claim_answers_hello_with_both_processes(keep, alive):
    kept = keep(SLEEP)
    hello = kept.connect().claim()
    assert hello["event"] == "hello" and hello["worker_id"] == "w1"
    assert hello["keeper_pid"] == kept.process.pid
    assert alive(hello["worker_pid"])
    assert abs(time.time() - hello["started_at"]) < 8


def test_wrong_token_is_refused_and_the_connection_closed(keep):
    kept = keep(SLEEP)
    line = kept.connect()
    assert line.claim("wrong") == {"event": "refused"}
    assert line.hear() == {}
    assert kept.connect().claim()["event"] == "hello"


@pytest.mark.parametrize("message", [{"do": "renew"}, {"do": "stop", "grace": 0}])
def test_unclaimed_connections_may_only_claim(keep, message):
    kept = keep(SLEEP)
    line = kept.connect()
    line.say(**message)
    assert line.hear() == {"event": "refused"}
    assert kept.connect().claim()["event"] == "hello"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b'{"do": 7}\n',
        b'{"do": "claim"}\n',
        b'{"do": "claim", "token": "\\ud800"}\n',
        b"[" * 4000 + b"\n",
        b"x" * 100_000,
    ],
)
def test_garbage_is_refused(keep, garbage):
    kept = keep(SLEEP)
    line = kept.connect()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before it was all sent
        line.socket.sendall(garbage)
    assert line.hear() in ({"event": "refused"}, {})
    assert kept.connect().claim()["event"] == "hello"


@pytest.mark.parametrize("grace", ["1", True, -1, float("nan"), float("inf"), [], {}])
def test_stop_with_a_grace_that_is_no_time_is_malformed(grace):
    assert parse_command(json.dumps({"do": "stop", "grace": grace}).encode()) is None


def test_commands_in_pieces_and_in_one_packet(keep):
    kept = keep(SLEEP)
    line = kept.connect()
    whole = b'{"do": "claim", "token": "right-token"}\n{"do": "renew"}\n{"do": "claim", "token": "right-token"}\n'
    line.socket.sendall(whole[:9])
    line.socket.sendall(whole[9:])
    assert [line.hear()["event"], line.hear()["event"]] == ["hello", "hello"]


def test_many_connections_do_not_keep_the_host_out(keep):
    kept = keep(SLEEP)
    first = kept.claimed()
    idle = [kept.connect() for _ in range(200)]
    second = kept.claimed()
    first.say(do="stop", grace=5)
    assert first.exit() == second.exit()
    assert kept.wait() == 0
    assert len(idle) == 200


def test_a_peer_that_never_reads_blocks_nobody(keep):
    kept = keep(SLEEP)
    stuck = kept.claimed()
    stuck.socket.setblocking(False)
    flood = b'{"do": "claim", "token": "right-token"}\n' * 1000
    with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
        for _ in range(200):
            stuck.socket.send(flood)
    other = kept.claimed()
    other.say(do="stop", grace=5)
    assert other.exit()["cause"] == "stopped"
    assert kept.wait() == 0


def test_the_socket_is_private_and_a_stale_one_replaced(keep, folder):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(folder / "control.sock"))
    stale.close()
    kept = keep(SLEEP)
    kept.claimed()
    assert (folder / "control.sock").stat().st_mode & 0o777 == 0o600


def test_a_second_keeper_of_the_same_worker_gives_up(keep):
    kept = keep(SLEEP)
    kept.claimed()
    second = keep(SLEEP)
    assert second.wait() == 2
    assert b"another keeper" in second.process.stderr.read()
    assert kept.claimed()
