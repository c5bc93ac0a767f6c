"""What tests share: a real server in a process of its own, and bounded waits for a condition."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

T = TypeVar("T")
START_SECONDS = 30.0  # a start takes under a second; a machine that runs other tests beside takes longer
LAUNCH_SECONDS = 90.0  # importing torch on a busy machine

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun with `&` by a shell; processes of tests would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(condition: Callable[[], T], seconds: float = 20.0, what: str = "") -> T:
    """What `condition` returns once it is true-ish. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what or condition} did not come true in {seconds:g} s"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`enginehouse serve` on a free port, with a home of its own."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = Path(variables.get("ENGINEHOUSE_HOME", home))
        self.port = free_port()
        self.variables = {"ENGINEHOUSE_HOME": str(self.home), "ENGINEHOUSE_RESTART_SECONDS": "0.05", **variables}
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=self.url, timeout=LAUNCH_SECONDS)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables, "ENGINEHOUSE_ENDPOINT": self.url}

    def start(self) -> Server:
        self.process = self.run_beside()
        wait_for(self._answers, START_SECONDS, "the server's start")
        return self

    def run_beside(self, port: int | None = None) -> subprocess.Popen[bytes]:
        """Another server process on the same home."""
        command = [sys.executable, "-m", "enginehouse.cli", "serve", "--port", str(port or self.port)]
        log = (self.home.parent / "server.out").open("ab")
        return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended: {self.log()[-3000:]}"
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        return (self.home.parent / "server.out").read_text(errors="replace")

    def kill(self) -> None:
        """kill -9, as a crash or the kernel's out-of-memory killer would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ends the server; an interrupt ends its workers too. Its exit status."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.send_signal(how)
        return self.process.wait(60)

    def launch(self, name: str = "fake-model", **fields: Any) -> str:
        answer = self.client.post("/v1/models", json={"model_name": name, **fields})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["model_uid"])

    def replicas(self, uid: str) -> list[dict[str, Any]]:
        return list(self.client.get(f"/v1/models/{uid}/replicas").json())

    def pid(self, uid: str, replica: int = 0) -> int:
        """The process of a replica, once it has one."""
        return int(
            wait_for(
                lambda: dict(enumerate(one["pid"] for one in self.replicas(uid))).get(replica),
                what=f"a process of {uid}",
            )
        )

    def socket(self, uid: str, replica: int = 0) -> str:
        """The path of the Unix socket that a replica's worker listens on."""
        return str(self.replicas(uid)[replica]["model_address"]).removeprefix("unix:")

    def description(self, uid: str) -> dict[str, Any]:
        return dict(self.client.get(f"/v1/models/{uid}", params={"any_status": "true"}).json())

    def complete(self, uid: str, prompt: str = "hi", **fields: Any) -> httpx.Response:
        return self.client.post("/v1/completions", json={"model": uid, "prompt": prompt, **fields})

    def cli(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the command line against this server."""
        command = [sys.executable, "-m", "enginehouse.cli", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=LAUNCH_SECONDS, input=stdin
        )


@pytest.fixture
def wait() -> Callable[..., Any]:
    return wait_for


@pytest.fixture
def unused_port() -> int:
    return free_port()


@pytest.fixture
def running() -> Callable[[int], bool]:
    return alive


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers that are ended, workers included, when the test ends."""
    made: list[Server] = []

    def make(**variables: str) -> Server:
        home = tmp_path / f"home{len(made)}" / "h"
        home.parent.mkdir()
        made.append(Server(home, **variables))
        return made[-1].start()

    yield make
    for server in made:
        end(server)


@pytest.fixture(scope="module")
def new_server_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """As new_server, for servers that a module's tests share."""
    made: list[Server] = []

    def make(**variables: str) -> Server:
        made.append(Server(tmp_path_factory.mktemp("server") / "h", **variables))
        return made[-1].start()

    yield make
    for server in made:
        end(server)


def end(server: Server) -> None:
    """Ends a server and every worker it ever started, even those it left behind."""
    server.stop()
    server.client.close()
    for keeper in keepers_of(server.home):
        os.kill(keeper, signal.SIGTERM)
        wait_for(lambda pid=keeper: not alive(pid), 45, f"the end of keeper {keeper}")


def keepers_of(home: Path) -> list[int]:
    """Processes that keep a worker of this home."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"enginehouse.keeper" in words and any(str(home).encode() in word for word in words):
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a whole module of tests that leave it as they found it."""
    home = tmp_path_factory.mktemp("server") / "h"
    running = Server(home).start()
    yield running
    end(running)


class ModelHub:
    """`tests/hub/small_hub.py` in a process of its own; faults are ordered by name, see there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        script = Path(__file__).parent / "hub" / "small_hub.py"
        self.process = subprocess.Popen([sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def put(self, repository: str, files: dict[str, bytes]) -> None:
        """Adds files to a repository; with the first, it exists."""
        for name, data in files.items():
            place = self.folder / repository / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)

    def order(self, **faults: Any) -> None:
        httpx.post(f"{self.url}/control", json=faults).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        return list(httpx.get(f"{self.url}/control").json())

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ModelHub]:
    folder = tmp_path / "hub"
    folder.mkdir()
    running = ModelHub(folder)
    yield running
    running.end()
