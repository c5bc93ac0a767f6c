"""The ASGI middleware in vLLM's server that answers this server's routes by this server's rules.

What the gateway asks a worker goes to the runner's own application, whose engine is vLLM's server itself, asked
within the process. Checks, errors, tool calls, reasoning, counts and draining are thus what they are on every engine.
All other routes are vLLM's own.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
from pathlib import Path
from typing import Any

import msgspec

from enginehouse.runner.answers import Answer
from enginehouse.runner.application import Application
from enginehouse.runner.exchange import Exchange
from enginehouse.runner.hosting import Hosted, Hosting
from enginehouse.runner.lifecycle import write_failure
from enginehouse.runner.metrics import CONTENT_TYPE
from enginehouse.runner.writing import Writes
from enginehouse.sdk import AUXILIARY, TASKS, GenerateRequest, RunnerOrder, WorkerOrder

from .arguments import options_of
from .checkpoint import default_sampling, read_json
from .inside import Application as Asgi
from .inside import Inside, Message, Receive, Send
from .leaving import told
from .missing import Missing
from .model_server import OWN_FIELDS, Facts, ModelServer
from .options import VllmOptions
from .own_fields import own_fields
from .parser_choice import parser_of
from .rest import Rest
from .straight import StraightWriter

ORDER = "ENGINEHOUSE_VLLM_ORDER"
"""The variable that names the order's file: vLLM makes the middleware, and gives it nothing but the application."""

CANCEL_SECONDS = 5.0  # requests that outlived the drain get so long to tell their clients
_POSTS = frozenset(("/sleep", "/wake", *(task.route for task in (*TASKS.values(), *AUXILIARY.values()))))
_GETS = frozenset(("/health", "/v1/models"))
_PROMPTS = "config_sentence_transformers.json"
_log = logging.getLogger(__name__)


class _Application(Application):
    """The runner's, but for answers that are one text: see straight.py."""

    model: ModelServer | None = None

    def writer_of(self, exchange: Exchange, answer: Answer, arrived: float) -> Writes:
        first, *others = answer.requests or (None,)
        if others or self.model is None or not isinstance(first, GenerateRequest):
            return super().writer_of(exchange, answer, arrived)
        return StraightWriter(exchange, answer, self.metrics, arrived, self.model)


class Wire:
    """app: the rest of vLLM's server."""

    def __init__(self, app: Asgi) -> None:
        self._app = app
        self._order = msgspec.json.decode(Path(os.environ[ORDER]).read_bytes(), type=WorkerOrder)
        assert self._order.runner is not None
        self._hosting = Hosting(self._order, self._order.runner)
        self._application = _Application(self._order.model_uid, self._order.runner, self._hosting)
        self._engine: Any = None
        self._inside: Inside | None = None
        self._draining: asyncio.Task[None] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._begin(scope, receive, send)
        if scope["type"] == "http":
            method, path = scope["method"], scope["path"]
            if method == "GET" and path == "/metrics":
                return await self._metrics(send)
            if (method == "POST" and path in _POSTS) or (method == "GET" and path in _GETS):
                return await self._answer(scope, receive, send)
            missing = Missing(send)
            await self._app(scope, receive, missing.send)
            return await self._application(scope, receive, send) if missing.is_missing else None
        await self._app(scope, receive, send)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        if self._engine is not None and self._engine.errored:
            self._hosting.state = "failed"
        if scope["method"] == "POST":
            receive = _noting_own_fields(receive)
        await self._application(scope, receive, send)

    async def _begin(self, scope: Message, receive: Receive, send: Send) -> None:
        """vLLM has loaded the model: makes it known to the runner, and takes over what SIGTERM does."""
        try:
            await self._host(scope["app"])
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, self._told_to_leave)
        except Exception as error:  # noqa: BLE001 - whatever it was, the host shall read why
            failure = write_failure(Path(self._order.folder), error)
            # Said, not raised: what is raised here counts as "no lifespan", and the server would go on without us.
            return await send({"type": "lifespan.startup.failed", "message": failure.message})
        await self._app(scope, receive, send)

    async def _host(self, server: Any) -> None:
        runner = self._order.runner
        assert runner is not None
        options = options_of(runner)
        self._engine = engine = server.state.engine_client
        self._inside = Inside(self._app, server)
        tokenizer = engine.get_tokenizer()
        tokenizer = await tokenizer if inspect.isawaitable(tokenizer) else tokenizer
        model = ModelServer(self._inside, _facts(self._order, runner, options, engine, tokenizer), Rest(engine))
        self._application.model = model
        hosted = Hosted(self._order.model_uid, runner, model)
        if options.tool_call_parser:
            hosted.tool_parser = parser_of("tool", options.tool_call_parser, tokenizer)
        if options.reasoning_parser:
            hosted.reasoning_parser = parser_of("reasoning", options.reasoning_parser, tokenizer)
        self._hosting.hosted = hosted
        self._hosting.report(1.0, "ready")
        self._hosting.state = "ready"

    async def _metrics(self, send: Send) -> None:
        """vLLM's page and the runner's, one after the other."""
        assert self._inside is not None
        _, page = await self._inside.ask("GET", "/metrics")
        body = page.rstrip(b"\n") + b"\n" + self._application.metrics.render()
        headers = [(b"content-type", CONTENT_TYPE), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _told_to_leave(self) -> None:
        told.set()
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        """As the runner leaves: no new requests, the running ones may end; then vLLM's own way to end, SIGINT's."""
        application = self._application
        self._hosting.state = "draining"
        _log.info("Draining: %d requests in flight.", application.metrics.in_flight)
        try:
            if not await self._emptied(self._order.drain_seconds):
                _log.warning("%d requests outlived the drain; cancelling them.", application.metrics.in_flight)
                for answering in tuple(application.answering):
                    answering.cancel()
                await self._emptied(CANCEL_SECONDS)
        finally:
            signal.raise_signal(signal.SIGINT)

    async def _emptied(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._application.idle.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _noting_own_fields(receive: Receive) -> Receive:
    """`receive`, which notes the fields of vLLM's own once the body has passed."""
    pieces: list[bytes] = []

    async def noting() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                OWN_FIELDS.set(own_fields(b"".join(pieces)))
        return message

    return noting


def _facts(order: WorkerOrder, runner: RunnerOrder, options: VllmOptions, engine: Any, tokenizer: Any) -> Facts:
    model = Path(runner.model_path)
    written = read_json(model / _PROMPTS)
    prompts = {name: text for name, text in (written.get("prompts") or {}).items() if isinstance(text, str)}
    return Facts(
        model_uid=order.model_uid,
        context_length=int(engine.model_config.max_model_len),
        vocabulary=max(len(tokenizer), int(engine.model_config.get_vocab_size())),
        tokenizer=tokenizer,
        sampling=default_sampling(model),
        adapters=tuple(lora.lora_name for lora in options.loras),
        chat_template=runner.chat_template,
        prompts=prompts,
        default_prompt=prompts.get(written.get("default_prompt_name") or "", ""),
        truncates=options.truncate,
        own_stops=len(runner.stop),
    )
