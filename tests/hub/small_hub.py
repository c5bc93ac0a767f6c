"""A hub of our own: the parts of the Hugging Face hub's and of ModelScope's HTTP protocols that downloads use.

`python small_hub.py FOLDER` prints its port and serves FOLDER/org/name/... as repositories with one commit. Large files
are "in LFS": their address redirects to another host name, as the real hub's do. Faults are ordered with
`POST /control` (see `Faults`), requests so far are at `GET /control`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

LFS_BYTES = 20_000
CHUNK = 4096


@dataclass
class Faults:
    """cut: file -> bytes after which the connection breaks, each once. corrupt: files sent with a wrong byte.
    answers: statuses with headers for the next requests. pace: file -> seconds before each chunk of 4 KiB.
    stall: file -> bytes after which nothing comes any more. gated, deaf_to_ranges: whether the hub is."""

    cut: dict[str, list[int]] = field(default_factory=dict)
    corrupt: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    pace: dict[str, float] = field(default_factory=dict)
    stall: dict[str, int] = field(default_factory=dict)
    gated: bool = False
    deaf_to_ranges: bool = False


class State:
    faults = Faults()
    requests: ClassVar[list[dict[str, str | None]]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path

    def log_message(self, *arguments: object) -> None:
        return

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        State.faults = Faults(**json.loads(body))
        State.requests = []
        self._json({})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/control":
            return self._json(State.requests)
        State.requests.append(
            {
                "method": self.command,
                "path": path,
                "range": self.headers.get("Range"),
                "authorization": self.headers.get("Authorization"),
            }
        )
        if State.faults.answers:
            status, headers = State.faults.answers.pop(0)
            return self._plain(status, headers)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self._describe(parts[2:])
        if parts[:3] == ["api", "v1", "models"]:
            return self._model_scope(parts[3:])
        if parts[0] == "lfs":
            return self._send_lfs(parts[1:])
        if len(parts) > 4 and parts[2] == "resolve":
            return self._resolve(parts)
        return self._plain(404, {})

    def _describe(self, parts: list[str]) -> None:
        repository = self._repository(parts)
        if repository is None:
            return None
        if len(parts) > 3 and parts[2] == "revision" and parts[3] not in ("main", commit_of(repository)):
            return self._plain(404, {"X-Error-Code": "RevisionNotFound"})
        siblings = []
        for file in files_of(repository):
            data = file.read_bytes()
            entry: dict[str, object] = {"rfilename": str(file.relative_to(repository)), "size": len(data)}
            entry["blobId"] = git_sha1(data)
            if len(data) >= LFS_BYTES:
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        return self._json({"id": "/".join(parts[:2]), "sha": commit_of(repository), "siblings": siblings})

    def _model_scope(self, parts: list[str]) -> None:
        """ModelScope's two routes: the list of files, and a file."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        repository = self.root.joinpath(*parts[:2])
        if not repository.is_dir() or query.get("Revision") not in ("master", "v1"):
            return self._json({"Code": 404, "Message": "not found", "Success": False}, 404)
        if parts[2:] == ["repo"]:
            name = query["FilePath"]
            return self._send(name, (repository / name).read_bytes(), {})
        files = []
        for file in files_of(repository):
            data = file.read_bytes()
            path = str(file.relative_to(repository))
            files.append({"Path": path, "Name": file.name, "Size": len(data), "Sha256": sha256(data), "Type": "blob"})
        return self._json({"Code": 200, "Success": True, "Data": {"Files": files}})

    def _resolve(self, parts: list[str]) -> None:
        repository = self._repository(parts)
        if repository is None:
            return None
        if State.faults.gated and not self.headers.get("Authorization"):
            return self._plain(401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
        name = "/".join(parts[4:])
        if not (repository / name).is_file():
            return self._plain(404, {"X-Error-Code": "EntryNotFound"})
        data = (repository / name).read_bytes()
        headers = {"X-Repo-Commit": commit_of(repository)}
        if len(data) < LFS_BYTES:
            return self._send(name, data, {**headers, "ETag": f'"{git_sha1(data)}"'})
        headers |= {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
        elsewhere = f"http://localhost:{self.server.server_address[1]}/lfs/{'/'.join(parts[:2])}/{name}?signature=1"
        return self._plain(302, {**headers, "Location": elsewhere})

    def _send_lfs(self, parts: list[str]) -> None:
        name = "/".join(parts[2:])
        data = (self.root / parts[0] / parts[1] / name).read_bytes()
        self._send(name, data, {"ETag": f'"{sha256(data)}"'})

    def _send(self, name: str, data: bytes, headers: dict[str, str]) -> None:
        wanted = self.headers.get("Range")
        first = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and not State.faults.deaf_to_ranges else 0
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        for key, value in {**headers, "Accept-Ranges": "bytes", "Content-Length": str(len(data) - first)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self._send_body(name, data, first)

    def _send_body(self, name: str, data: bytes, first: int) -> None:
        faults = State.faults
        if name in faults.corrupt:
            data = data[:-1] + bytes([data[-1] ^ 1])
        cut = faults.cut.get(name) or [len(data) + 1]
        end = cut.pop(0)
        stall = faults.stall.get(name, len(data) + 1)
        while first < min(len(data), end, stall):
            time.sleep(faults.pace.get(name, 0))
            step = min(CHUNK, end - first, stall - first) if (name in faults.pace or end < len(data)) else len(data)
            self.wfile.write(data[first : min(first + step, stall)])
            first += step
        if end < len(data):
            self.close_connection = True
        elif stall < len(data):
            time.sleep(3600)

    def _repository(self, parts: list[str]) -> Path | None:
        place = self.root.joinpath(*parts[:2])
        if len(parts) >= 2 and place.is_dir():
            return place
        self._plain(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        return None

    def _json(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self._plain(status, {"Content-Type": "application/json"}, body)

    def _plain(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def files_of(repository: Path) -> list[Path]:
    return sorted(file for file in repository.rglob("*") if file.is_file())


def commit_of(repository: Path) -> str:
    parts = "".join(f"{file.relative_to(repository)} {sha256(file.read_bytes())}" for file in files_of(repository))
    return hashlib.sha1(parts.encode()).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def main() -> None:
    Handler.root = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
