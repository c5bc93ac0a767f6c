"""llama.cpp's server in this process: started, asked, ended."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import msgspec
import xllamacpp  # type: ignore[import-untyped]

from enginehouse.sdk import BadRequest, EngineContext, EngineFailed, LaunchFailed

from .model_file import ModelFile
from .parameters import parameters_of

ASK_SECONDS = 60.0  # a tokenizer needs seconds for the longest text that a request may hold
TEE_SECONDS = 5.0  # the copier of error lines has nothing to do but to end
WARM_BYTES = 16 * 2**20  # read at once while warming up
SETTLE_SECONDS = 2.0  # the reason is worth so much waiting; without it an error only says that there is one
QUIET_SECONDS = 0.05  # after so long without another line there is none
TOLD_LINES = 2  # of llama.cpp's words in an error: the first says why, those after it what did not work therefore
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PREFIX = re.compile(r"^[\d.]+ [EWIDF] ")

Take = Callable[[bytes], bool]


class Native:
    """A loaded model. Its methods may be called from several threads."""

    def __init__(self, server: Any, key: str) -> None:
        self._server = server
        self._key = key
        self._address = urlsplit(server.listening_address)

    def complete(self, body: bytes, take: Take) -> None:
        """Streams an answer into `take`, as JSON; blocks until its end, or until `take` returns True."""
        self._server.handle_completions(body, take)

    def embed(self, body: bytes) -> bytes:
        """The vectors, or an error, as JSON."""
        answer: bytes = self._server.handle_embeddings(body)
        return answer

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids; special tokens that the text spells out are always read as such, as transformers does."""
        asked = {"content": text, "add_special": add_special, "parse_special": True}
        ids: list[int] = self._ask("/tokenize", asked)["tokens"]
        return ids

    def detokenize(self, ids: list[int]) -> str:
        text: str = self._ask("/detokenize", {"tokens": ids})["content"]
        return text

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection(
            self._address.hostname or "127.0.0.1", self._address.port, timeout=ASK_SECONDS
        )
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, msgspec.json.encode(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            raise EngineFailed(f"llama.cpp's own server does not answer: {error}.") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise BadRequest(f"llama.cpp refused this: {content.decode(errors='replace')[:500]}")
        return msgspec.json.decode(content)


def start(context: EngineContext, model: ModelFile, context_length: int) -> Native:
    """Loads the model. Raises LaunchFailed with llama.cpp's own words."""
    key = secrets.token_urlsafe(32)
    parameters = parameters_of(context, model, context_length, key)
    _warm(context)
    context.report(0.9, "loading")
    errors = _ErrorCopy()
    failure: RuntimeError | None = None
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        failure = error
        errors.settle()
    written = errors.end()
    if failure is None:
        return Native(server, key)
    reason = _first_words(written) or str(failure)
    raise LaunchFailed(f"llama.cpp could not load {context.model_path} ({model.architecture}): {reason}") from failure


def restore_signals() -> None:
    """Gives SIGTERM and SIGINT back to whoever had them in Python: the library takes them for itself while it loads.

    Must run on the main thread.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.getsignal(number))


def _warm(context: EngineContext) -> None:
    """Reads the file once, so that it lies in the system's cache when the library maps it.

    The library's own loading holds the interpreter's lock; what is slow about it happens here instead, with
    progress for whoever asks.
    """
    files = _parts(context.model_path)
    size, done = sum(file.stat().st_size for file in files), 0
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while read := len(stream.read(WARM_BYTES)):
                done += read
                context.report(0.05 + 0.8 * done / max(size, 1), "reading weights")


def _parts(file: Path) -> list[Path]:
    """All files of a model that is split; they differ in one number."""
    match = re.search(r"-\d{5}-of-(\d{5})\.gguf$", file.name)
    return sorted(file.parent.glob(f"{file.name[: match.start()]}-*-of-{match[1]}.gguf")) if match else [file]


class _ErrorCopy:
    """What is written to stderr from now on goes to a file, too, until `end`.

    Copied by a process of its own, so that the last words of a library that ends this process still get out.
    """

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="enginehouse-llamacpp-")
        os.close(handle)
        self._file = Path(name)
        self._stderr = os.dup(2)
        self._tee = subprocess.Popen(
            ["tee", name], stdin=subprocess.PIPE, stdout=self._stderr, stderr=subprocess.DEVNULL
        )
        assert self._tee.stdin is not None
        os.dup2(self._tee.stdin.fileno(), 2)
        self._tee.stdin.close()

    def settle(self) -> None:
        """Waits until llama.cpp has said what there is to say: a thread of its own writes it, a little later."""
        ends, size = monotonic() + SETTLE_SECONDS, 0
        while monotonic() < ends:
            sleep(QUIET_SECONDS)
            before, size = size, self._file.stat().st_size
            if size and size == before:
                return

    def end(self) -> str:
        """All that was written."""
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        try:
            self._tee.wait(TEE_SECONDS)
        except subprocess.TimeoutExpired:  # a process that the library started still holds the other end
            self._tee.kill()
            self._tee.wait()
        written = self._file.read_text(errors="replace")
        self._file.unlink()
        return written


def _first_words(written: str) -> str:
    lines = [_PREFIX.sub("", line).strip() for line in written.splitlines() if line.strip()]
    return " | ".join(dict.fromkeys(lines[:TOLD_LINES]))
