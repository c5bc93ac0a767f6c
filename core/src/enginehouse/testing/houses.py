"""A real server in a process of its own, on a free port, with a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from .waiting import alive, free_port, wait_for

START_SECONDS = 30.0  # a start takes under a second; a machine that runs other tests beside takes longer
LAUNCH_SECONDS = 90.0  # importing torch on a busy machine
STOP_SECONDS = 60.0  # longer than the drain of a worker
KEEPER_SECONDS = 45.0  # a keeper drains its worker for 30 s at most
WORDS = 3000  # characters at the end of a log that a failure shows


class House:
    """`enginehouse serve`. variables: of its environment; a home of its own unless they name another.

    site: folders of plugins that are not installed, put on its path.
    """

    def __init__(self, home: Path, *, site: Sequence[Path] = (), **variables: str) -> None:
        self.home = Path(variables.get("ENGINEHOUSE_HOME", home))
        self.port = free_port()
        self.variables = {"ENGINEHOUSE_HOME": str(self.home), "ENGINEHOUSE_RESTART_SECONDS": "0.05", **variables}
        if site:
            there = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
            self.variables["PYTHONPATH"] = os.pathsep.join([*map(str, site), *there])
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=self.url, timeout=LAUNCH_SECONDS)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables, "ENGINEHOUSE_ENDPOINT": self.url}

    def start(self) -> House:
        """Starts it and waits until it answers."""
        self.process = self.run_beside()
        wait_for(self._answers, START_SECONDS, "the server's start")
        return self

    def run_beside(self, port: int | None = None) -> subprocess.Popen[bytes]:
        """Another server process on the same home."""
        command = [sys.executable, "-m", "enginehouse.cli", "serve", "--port", str(port or self.port)]
        with (self.home.parent / "server.out").open("ab") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended: {self.log()[-WORDS:]}"
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        """What the server printed so far."""
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
        return self.process.wait(STOP_SECONDS)

    def end(self) -> None:
        """Ends the server and every worker it ever started, even those it left behind."""
        self.stop()
        self.client.close()
        for keeper in keepers_of(self.home):
            os.kill(keeper, signal.SIGTERM)
            wait_for(lambda pid=keeper: not alive(pid), KEEPER_SECONDS, f"the end of keeper {keeper}")  # type: ignore[misc]

    def launch(self, name: str = "fake-model", **fields: Any) -> str:
        """Launches a model and waits until it is ready. fields: of `POST /v1/models`. Returns its uid."""
        answer = self.client.post("/v1/models", json={"model_name": name, **fields})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["model_uid"])

    def replicas(self, uid: str) -> list[dict[str, Any]]:
        return list(self.client.get(f"/v1/models/{uid}/replicas").json())

    def pid(self, uid: str, replica: int = 0) -> int:
        """The process of a replica, once it has one."""
        pid = wait_for(lambda: self._pids(uid).get(replica), what=f"a process of {uid}")
        return int(pid or 0)

    def _pids(self, uid: str) -> dict[int, int | None]:
        return dict(enumerate(one["pid"] for one in self.replicas(uid)))

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


def keepers_of(home: Path) -> list[int]:
    """Processes that keep a worker of this home, on systems that list them in /proc."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"enginehouse.keeper" in words and any(str(home).encode() in word for word in words):
                found.append(int(entry.name))
    return found
