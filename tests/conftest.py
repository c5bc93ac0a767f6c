"""What tests share: a real server in a process of its own, and bounded waits for a condition."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from enginehouse.testing.houses import House as Server
from enginehouse.testing.waiting import alive, free_port, wait_for

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun with `&` by a shell; processes of tests would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
        server.end()


@pytest.fixture(scope="module")
def new_server_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """As new_server, for servers that a module's tests share."""
    made: list[Server] = []

    def make(**variables: str) -> Server:
        made.append(Server(tmp_path_factory.mktemp("server") / "h", **variables))
        return made[-1].start()

    yield make
    for server in made:
        server.end()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a whole module of tests that leave it as they found it."""
    home = tmp_path_factory.mktemp("server") / "h"
    running = Server(home).start()
    yield running
    running.end()


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


class WheelMaker:
    """Wheels of plugins that exist only in a test: a folder that pip and uv install from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(
        self,
        name: str,
        version: str,
        files: dict[str, str],
        plugin: str = "",
        requires: tuple[str, ...] = (),
        group: str = "enginehouse",
    ) -> Path:
        """plugin: "name = module", its entry point in this group. files: by their path in the wheel."""
        module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
        heads = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
        whole = {
            **files,
            f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", *heads]) + "\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": f"[{group}]\n{plugin}\n" if plugin else "",
        }
        wheel = self.folder / f"{module}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as packed:
            for path, text in whole.items():
                packed.writestr(path, text)
            packed.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in (*whole, f"{info}/RECORD")))
        return wheel

    def fake_engine(self, version: str, answer: str, requires: tuple[str, ...] = (), **changed: str) -> Path:
        """The fake engine under another name, `blink`, which always answers with one text.

        changed: source by the name of a module, put at its end.
        """
        source = Path(__file__).parent / "fake_engine" / "src" / "enginehouse_fake"
        files = {}
        for file in sorted(source.rglob("*.*")):
            if "__pycache__" not in file.parts:
                text = file.read_text().replace("enginehouse_fake", "enginehouse_blink").replace('"fake', '"blink')
                text = text.replace('a word a token")] = ""', f'a word a token")] = "{answer}"')
                files[f"enginehouse_blink/{file.relative_to(source)}"] = text + changed.get(file.stem, "")
        needs = ("enginehouse-core", *requires)
        return self.make("enginehouse-blink", version, files, "blink = enginehouse_blink.plugin", needs)


@pytest.fixture
def wheels(tmp_path: Path) -> WheelMaker:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return WheelMaker(folder)


class Index:
    """A folder of wheels behind HTTP. word: "user:password" that is asked for; asked: paths, in their order."""

    def __init__(self, folder: Path, word: str = "") -> None:
        index, self.asked = self, list[str]()
        allowed = f"Basic {base64.b64encode(word.encode()).decode()}" if word else None

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                name = self.path.strip("/").rpartition("/")[2]
                files = [file for file in folder.iterdir() if _project(file) == name]
                links = "".join(f'<a href="/files/{file.name}">{file.name}</a>' for file in files)
                if allowed and self.headers["Authorization"] != allowed:
                    self.send(401, b"")
                elif (folder / name).is_file():
                    self.send(200, (folder / name).read_bytes())
                else:
                    self.send(200 if links else 404, links.encode())

            def send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *words: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://{word}{'@' * bool(word)}127.0.0.1:{self._server.server_port}/simple"

    def end(self) -> None:
        """Nobody answers there any more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def _project(file: Path) -> str:
    """The name of a wheel's or archive's project. Source: PEP 503."""
    return file.name.partition("-")[0].replace("_", "-").replace(".", "-").lower()


@pytest.fixture
def serve_index() -> Iterator[Callable[..., Index]]:
    """Serves folders as indexes."""
    made: list[Index] = []

    def serve(folder: Path, word: str = "") -> Index:
        made.append(Index(folder, word))
        return made[-1]

    yield serve
    for index in made:
        index.end()
