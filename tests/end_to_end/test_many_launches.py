"""Launches and terminations in a row, of every kind, leave nothing behind: no process, file, socket, row or series."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

LAUNCHES = 200
WARM = 18  # of them, two of each kind; after those everything that is made once is there
AT_ONCE = 4
GONE_SECONDS = 45.0  # a start that was broken off ends by itself, at the latest after the drain
MORE_MEMORY = 32 * 2**20  # of fragmentation and caches; a leak of 200 kB a launch would show in 182
MORE_THREADS = 40  # the event loop's own pool grows as it is needed, to 32; a thread a launch would show
MOST_SERIES = 3500  # of requests to a hundred models that are gone, some 25 each, and the server's own
MORE_FILES = 10  # idle connections, which come and go


class State(NamedTuple):
    """What a server holds at a moment at which nothing is declared."""

    processes: list[str]
    descriptors: Counter[str]
    threads: int
    files: list[str]
    rows: dict[str, int]
    series: int
    memory: int


def normal(server: Any, uid: str) -> None:
    server.launch(model_uid=uid)
    assert server.complete(uid).status_code == 200


def streamed(server: Any, uid: str) -> None:
    """Terminated while a client reads."""
    server.launch(model_uid=uid, tokens=100_000, token_seconds=0.01)
    body = {"model": uid, "prompt": "x", "stream": True}
    with server.client.stream("POST", "/v1/completions", json=body) as answer:
        next(answer.iter_lines())


def failed(how: str) -> Callable[[Any, str], None]:
    def fail(server: Any, uid: str) -> None:
        body = {"model_name": "fake-model", "model_uid": uid, "load_crash": how}
        assert server.client.post("/v1/models", json=body).status_code == 503

    return fail


def begin_slowly(server: Any, uid: str) -> None:
    body = {"model_name": "fake-model", "model_uid": uid, "load_seconds": 600, "wait_ready": False}
    assert server.client.post("/v1/models", json=body).status_code == 200


def cancelled(server: Any, uid: str) -> None:
    begin_slowly(server, uid)
    server.pid(uid)
    assert server.client.post(f"/v1/models/{uid}/cancel").status_code == 200


def cancelled_at_once(server: Any, uid: str) -> None:
    begin_slowly(server, uid)
    assert server.client.post(f"/v1/models/{uid}/cancel").status_code == 200


def loading(server: Any, uid: str) -> None:
    begin_slowly(server, uid)
    server.pid(uid)


def crashed(server: Any, uid: str) -> None:
    server.launch(model_uid=uid, crash_at_request=1)
    assert server.complete(uid).status_code == 503


def killed(server: Any, uid: str) -> None:
    server.launch(model_uid=uid, replica=2)
    os.kill(server.pid(uid), signal.SIGKILL)


KINDS = (normal, streamed, failed("raise"), failed("segv"), cancelled, cancelled_at_once, loading, crashed, killed)


def live(server: Any, numbers: range) -> None:
    """A launch and its end for each number, several at once."""

    def one(number: int) -> None:
        uid = f"m{number}"
        KINDS[number % len(KINDS)](server, uid)
        assert server.client.delete(f"/v1/models/{uid}").status_code in (200, 400), uid  # 400: it is gone already

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, numbers))


def look(server: Any, wait: Callable[..., Any]) -> State:
    """What is there once all that is ending has ended."""
    pid = server.process.pid
    try:
        wait(lambda: not related(server), seconds=GONE_SECONDS)
    except AssertionError:
        raise AssertionError(f"still there: {related(server)}") from None
    server.client.close()  # its idle connections would count
    server.client = type(server.client)(base_url=server.url, timeout=90)
    database = server.home / "enginehouse.db"
    metrics = server.client.get("/metrics").text
    return State(
        processes=related(server),
        descriptors=Counter(kind_of(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        files=sorted(str(file.relative_to(server.home)) for file in server.home.rglob("*")),
        rows=rows_of(database),
        series=sum(not line.startswith("#") for line in metrics.splitlines()),
        memory=int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    )


def related(server: Any) -> list[str]:
    """Processes but the server that are its children, or that were started on its home."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == server.process.pid:
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if parent == server.process.pid or str(server.home) in command:
            found.append(f"{entry.name} of {parent}: {command} {place_of(entry)}")
    return found


def place_of(process: Path) -> str:
    """Where a process is, for whoever has to find out why it is still there."""
    try:
        return (process / "wchan").read_text() + " ".join(file.name for file in (process / "cwd").iterdir())
    except OSError as error:
        return str(error)


def kind_of(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink()).partition(":[")[0]
    except OSError:
        return "gone"


def rows_of(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in tables}


def test_two_hundred_launches_leave_nothing(new_server, wait) -> None:
    server = new_server()
    live(server, range(WARM))
    before = look(server, wait)
    live(server, range(WARM, LAUNCHES))
    after = look(server, wait)
    assert after.processes == [] and not server.client.get("/v1/models").json()["data"]
    assert after.files == before.files and "workers" in after.files
    assert after.rows == before.rows and after.rows["deployments"] == after.rows["events"] == 0
    assert after.descriptors.total() <= before.descriptors.total() + MORE_FILES, (before, after)
    assert after.threads <= before.threads + MORE_THREADS
    assert after.memory - before.memory < MORE_MEMORY
    assert after.series < MOST_SERIES
