"""llama.cpp's server in this process: started, asked, ended."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import msgspec
import xllamacpp  # type: ignore[import-untyped]

from enginehouse.sdk import BadRequest, EngineFailed, LaunchFailed

from ..answers import error_of
from ..binding import Loading, Question, Vectors
from ..chunks import Chunk
from ..files import warm
from .loopback import Door, LoopbackCall, Turns, open_call
from .parameters import parameters_of
from .requests import Body, body_of
from .streams import StreamCall

ASK_SECONDS = 60.0  # a tokenizer needs seconds for the longest text that a request may hold
AHEAD = 2  # calls beyond the slots, so that a slot that gets free finds the next one waiting
TEE_SECONDS = 5.0  # the copier of error lines has nothing to do but to end
SETTLE_SECONDS = 2.0  # the reason is worth so much waiting; without it an error only says that there is one
QUIET_SECONDS = 0.05  # after so long without another line there is none
TOLD_LINES = 2  # of llama.cpp's words in an error: the first says why, those after it what did not work therefore
IMAGE_MARK = f"<__media_{secrets.token_hex(16)}__>"  # no user can guess it, and put an image where none is
_PREFIX = re.compile(r"^[\d.]+ [EWIDF] ")
_encode = msgspec.json.Encoder().encode


class Native:
    """A loaded model: see `Binding`."""

    def __init__(self, server: Any, door: Door, loading: Loading) -> None:
        self._server = server
        self._door = door
        self._limit = loading.context_length
        most = loading.context.options.n_parallel + AHEAD
        self._turns = Turns(most)
        self._threads = ThreadPoolExecutor(most, "llama.cpp stream")
        self.image_mark = IMAGE_MARK if loading.context.options.multimodal_projector else ""

    def prepare(self, question: Question) -> Body:
        return body_of(question)

    async def ask(self, prepared: Body) -> LoopbackCall | StreamCall:
        if prepared.loopback:
            return await open_call(self._door, "/completion", prepared.content, await self._turns.take())
        return StreamCall(self._server.handle_completions, prepared.content, self._threads)

    def embed(self, inputs: Sequence[str | list[int]], *, normal: bool) -> Vectors:
        body = {"input": inputs, "encoding_format": "float", "embd_normalize": 2 if normal else -1}
        answer = self._answer(self._server.handle_embeddings, body)
        rows = [entry["embedding"] for entry in sorted(answer["data"], key=lambda entry: int(entry["index"]))]
        return Vectors(rows, answer["usage"]["prompt_tokens"])

    def rank(self, query: str, documents: Sequence[str]) -> Vectors:
        answer = self._answer(self._server.handle_rerank, {"query": query, "documents": documents})
        found = sorted(answer["results"], key=lambda result: int(result["index"]))
        return Vectors([(result["relevance_score"],) for result in found], answer["usage"]["prompt_tokens"])

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        asked = {"content": text, "add_special": add_special, "parse_special": True}
        ids: list[int] = self._post("/tokenize", asked)["tokens"]
        return ids

    def detokenize(self, ids: list[int]) -> str:
        text: str = self._post("/detokenize", {"tokens": ids})["content"]
        return text

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answer(self, method: Any, body: dict[str, Any]) -> Any:
        """The library's answer. Raises what it refused, in our words."""
        try:
            answer: bytes = method(_encode(body))
        except ValueError as error:
            raise BadRequest(f"llama.cpp cannot read this request: {error}") from error
        if answer.startswith(b'{"error"') and (fault := msgspec.json.decode(answer, type=Chunk).error):
            raise error_of(fault, self._limit)
        return msgspec.json.decode(answer)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection(self._door.host, self._door.port, timeout=ASK_SECONDS)
        headers = {"Authorization": f"Bearer {self._door.key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, _encode(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            raise EngineFailed(f"llama.cpp's own server does not answer: {error}.") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise BadRequest(f"llama.cpp refused this: {content.decode(errors='replace')[:500]}")
        return msgspec.json.decode(content)


def start(loading: Loading) -> Native:
    """Loads the model. Raises LaunchFailed with llama.cpp's own words."""
    key = secrets.token_urlsafe(32)
    parameters = parameters_of(loading, key)
    os.environ["LLAMA_MEDIA_MARKER"] = IMAGE_MARK  # the library has no other way to be told it, or to tell its own
    warm(loading.context)
    errors = _ErrorCopy()
    failure: RuntimeError | None = None
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        failure = error
        errors.settle()
    written = errors.end()
    if failure is None:
        address = urlsplit(server.listening_address)
        return Native(server, Door(address.hostname or "127.0.0.1", int(address.port or 0), key), loading)
    reason = _first_words(written) or str(failure)
    file, architecture = loading.context.model_path, loading.model.architecture
    raise LaunchFailed(f"llama.cpp could not load {file} ({architecture}): {reason}") from failure


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
