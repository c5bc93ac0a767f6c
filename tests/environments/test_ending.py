"""Ends at any moment: a launch that is cancelled, a build that is killed, a server that is killed. Nothing is left
behind, and no broken environment is ever used."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from enginehouse.host.environments.holding import held, put_away
from enginehouse.host.environments.inspection import verify
from enginehouse.sdk import LaunchFailed, PackageIndexes

ROUNDS, MANY_ROUNDS = 4, 50
LONGEST = 1.5  # seconds until a kill: a build takes half a second where nothing else runs


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def descendants(pid: int) -> list[int]:
    """Processes that this one started, and those that they started, as they are now."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    return list(_below(pid, parents))


def _below(pid: int, parents: dict[int, list[int]]) -> Iterator[int]:
    for child in parents.get(pid, ()):
        yield child
        yield from _below(child, parents)


def makers() -> list[int]:
    """Processes of this test that make environments, with what they started."""
    found = []
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            if b"environments.maker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found += [pid, *descendants(pid)]
    return found


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of an index that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


async def test_a_launch_that_is_cancelled_leaves_nothing(bench, silent, until) -> None:
    task = asyncio.create_task(bench.provide(bench.need("alpha", indexes=PackageIndexes(index_url=silent))))
    await until(lambda: len(makers()) >= 2)  # the process and its uv
    running = makers()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not any(alive(pid) for pid in running))  # killed by then; the system reaps them
    assert bench.leftovers() == [] and bench.environments() == []
    assert not list(bench.shelf.failures.glob("*"))  # nobody's fault: the next launch may try


async def test_a_build_goes_on_for_who_still_waits(bench, silent, until) -> None:
    need = bench.need("alpha", indexes=PackageIndexes(index_url=silent))
    first, second = (asyncio.create_task(bench.provide(need)) for _ in range(2))
    await until(lambda: len(makers()) >= 2)
    running = makers()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert all(alive(pid) for pid in running)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await until(lambda: not any(alive(pid) for pid in running))
    assert bench.leftovers() == []


async def test_a_killed_build_says_how_it_ended(bench, silent, until) -> None:
    need = bench.need("alpha", indexes=PackageIndexes(index_url=silent))
    task = asyncio.create_task(bench.provide(need))
    await until(lambda: len(makers()) >= 2)
    maker, uv = makers()[:2]
    os.kill(maker, signal.SIGKILL)
    with pytest.raises(LaunchFailed, match="SIGKILL"):
        await task
    await until(lambda: not alive(uv))
    assert bench.leftovers() == []
    assert not list(bench.shelf.failures.glob("*"))


async def test_who_waits_for_another_s_build_says_so_and_does_not_wait_for_ever(bench) -> None:
    grant = await bench.provide(bench.need("alpha"))
    put_away(bench.shelf, bench.shelf.folder(grant.environment.digest))
    limited = bench.with_settings(environment_seconds=8.0)
    with held(bench.shelf, grant.environment.digest, 1.0, lambda: None):
        with pytest.raises(LaunchFailed, match="Another process"):
            await limited.provide(bench.need("alpha"), since=1.0)
    assert [step.phase for step in limited.steps] == ["wait"]
    assert (await bench.provide(bench.need("alpha"), since=1.0)).made  # that was no failure to remember


async def test_kills_of_the_build_at_any_moment(bench, until) -> None:
    await _kill_builds(bench, until, ROUNDS)


@pytest.mark.slow
async def test_many_kills_of_the_build_at_any_moment(bench, until) -> None:
    await _kill_builds(bench, until, MANY_ROUNDS)


async def _kill_builds(bench, until, rounds: int) -> None:
    for _ in range(rounds):
        task = asyncio.create_task(bench.provide(bench.need("alpha")))
        await asyncio.sleep(random.uniform(0, LONGEST))
        victims = makers()
        if victims:
            with suppress(ProcessLookupError):
                os.kill(random.choice(victims), signal.SIGKILL)
        with suppress(LaunchFailed):
            await task
        await until(lambda victims=victims: not any(alive(pid) for pid in victims))
        await _check_and_clear(bench)


async def test_kills_of_the_server_at_any_moment(bench, tmp_path, until) -> None:
    await _kill_servers(bench, tmp_path, until, ROUNDS)


@pytest.mark.slow
async def test_many_kills_of_the_server_at_any_moment(bench, tmp_path, until) -> None:
    await _kill_servers(bench, tmp_path, until, MANY_ROUNDS)


async def _kill_servers(bench, tmp_path: Path, until, rounds: int) -> None:
    script = tmp_path / "serve.py"
    script.write_text(SERVE)
    need = msgspec.json.encode(bench.need("alpha")).decode()
    for _ in range(rounds):
        server = subprocess.Popen(
            [sys.executable, script, bench.settings.home, need], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert server.stdout
        await asyncio.to_thread(server.stdout.readline)  # from here on it builds
        await asyncio.sleep(random.uniform(0, LONGEST))
        family = descendants(server.pid)
        server.kill()
        server.communicate()
        await until(lambda family=family: not any(alive(pid) for pid in family))
        await _check_and_clear(bench)


async def _check_and_clear(bench) -> None:
    """What is there is whole, and the next launch gets one that is whole; then it is taken away again."""
    for record in bench.shelf.records():
        assert verify(bench.shelf, record) == []
    grant = await bench.provide(bench.need("alpha"))
    record = bench.shelf.find(grant.environment.digest)
    assert verify(bench.shelf, record) == []
    put_away(bench.shelf, bench.shelf.folder(record.digest))
    if grant.made:  # a build sweeps before it begins
        assert bench.leftovers() == []


SERVE = """
import asyncio, sys, time
from pathlib import Path
import msgspec
from enginehouse.host.environments.provider import Wish, provide_environment
from enginehouse.host.plugins import load_plugins
from enginehouse.host.settings import Settings
from enginehouse.sdk import EnvironmentNeed
settings = Settings(home=Path(sys.argv[1]), environment_reserve_bytes=0)
need = msgspec.json.decode(sys.argv[2], type=EnvironmentNeed)
contributions = load_plugins(settings).contributions
print("ready", flush=True)
wish = Wish(need=need, since=time.time())
asyncio.run(provide_environment(wish, contributions, settings, lambda step: None))
"""
