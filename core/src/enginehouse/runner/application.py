"""The worker's HTTP API, as a plain ASGI application: task routes, health, metrics, the model itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import msgspec

from ..sdk import (
    AUXILIARY,
    TASKS,
    Conflict,
    EnginehouseError,
    NotReady,
    NotSupported,
    Overloaded,
    RunnerOrder,
    WorkerLost,
)
from .answers import Answer
from .chat import chat_answer
from .completions import completion_answer
from .contributed import ContributedAnswer
from .embeddings import EmbeddingAnswer
from .exchange import ClientGone, Exchange, Receive, Scope, Send
from .hosting import Hosted, Hosting
from .metrics import CONTENT_TYPE as METRICS_TYPE
from .metrics import Metrics
from .own_chat import OwnChat
from .reranking import Ranking
from .sse import error_event
from .tokens import ask_tokenizer
from .writing import Writer, Writes, as_enginehouse_error

SETTLE_SECONDS = 5.0  # for requests whose clients are gone already to be given up by the engine
RETRY_SECONDS = 1  # a queue moves on within a second, and knocking is cheap

_log = logging.getLogger(__name__)
_TASK_OF = {task.route: name for name, task in TASKS.items()}
_AUXILIARY_OF = {task.route: name for name, task in AUXILIARY.items()}
_encode = msgspec.json.Encoder().encode


class RouteNotFound(EnginehouseError):
    status, code, kind = 404, "not_found", "invalid_request_error"


class Application:
    """Routes requests to the engine. Counts are in `metrics`; idle: no request is being answered."""

    def __init__(self, model_uid: str, order: RunnerOrder, hosting: Hosting) -> None:
        self._model_uid = model_uid
        self._order = order
        self._hosting = hosting
        self._created = int(time.time())
        self.metrics = Metrics()
        self.idle = asyncio.Event()
        self.idle.set()
        self.answering: set[asyncio.Task[None]] = set()
        self._own_routes = {task.route: task.name for task in order.own_tasks}
        self._pages: dict[str, Callable[[Exchange], Awaitable[None]]] = {
            "/health": self._health,
            "/metrics": self._show_metrics,
            "/v1/models": self._models,
        }
        self._turns: dict[str, Callable[[], Awaitable[None]]] = {"/sleep": hosting.sleep, "/wake": hosting.wake}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        method, path = scope["method"], scope["path"]
        try:
            if method == "POST" and (task := _TASK_OF.get(path) or self._own_routes.get(path)):
                await self._serve(task, exchange)
            elif method == "POST" and path in _AUXILIARY_OF:
                await self._assist(_AUXILIARY_OF[path], exchange)
            elif method == "GET" and path in self._pages:
                await self._pages[path](exchange)
            elif method == "POST" and path in self._turns:
                await self._turn(path, exchange)
            else:
                raise RouteNotFound(f"There is no {method} {path} here. See GET /v1/models for what runs.")
        except EnginehouseError as error:
            self.metrics.errors[error.code] += 1
            await exchange.refuse(error)
        except ClientGone:
            self.metrics.cancelled += 1

    async def _health(self, exchange: Exchange) -> None:
        health = self._hosting.health(self.metrics.in_flight)
        await exchange.answer(_encode(health), 200 if health.state == "ready" else 503)

    async def _turn(self, path: str, exchange: Exchange) -> None:
        """To sleep, or awake: what the host asks of a model that lies idle, or is wanted again."""
        try:
            if path == "/sleep":
                await self._settle()
            await self._turns[path]()
        except EnginehouseError:
            raise
        except Exception as error:  # the engine is foreign code; the host is told
            raise as_enginehouse_error(error, exchange.request_id) from error
        await exchange.answer(_encode(self._hosting.health(self.metrics.in_flight)))

    async def _settle(self) -> None:
        """The gateway sees a request end before this worker has written it down."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.idle.wait(), SETTLE_SECONDS)
        if self.metrics.in_flight:
            many = self.metrics.in_flight
            raise Conflict(f"Model {self._model_uid!r} answers {many} requests; it can sleep when they have ended.")

    async def _show_metrics(self, exchange: Exchange) -> None:
        await exchange.answer(self.metrics.render(), content_type=METRICS_TYPE)

    async def _models(self, exchange: Exchange) -> None:
        model = {"id": self._model_uid, "object": "model", "created": self._created, "owned_by": "enginehouse"}
        await exchange.answer(_encode({"object": "list", "data": [model]}))

    async def _serve(self, task: str, exchange: Exchange) -> None:
        hosted = self._admit(task)
        arrived = monotonic()
        self.metrics.requests[task] += 1
        self.metrics.in_flight += 1
        self.idle.clear()
        try:
            request = hosted.read(task, await exchange.body())
            exchange.rename(getattr(request, "request_id", None))
            answer = await self._prepare(hosted, task, request, exchange.request_id)
            await self._write(exchange, self.writer_of(exchange, answer, arrived))
        except EnginehouseError as error:
            _log.info("Request %s: %d %s", exchange.request_id, error.status, error.message)
            raise
        finally:
            self.metrics.in_flight -= 1
            if not self.metrics.in_flight:
                self.idle.set()

    async def _assist(self, task: str, exchange: Exchange) -> None:
        """What is asked of any model beside its tasks: small, so a client that leaves meanwhile is not watched for."""
        hosted = self._admit(task)
        self.metrics.requests[task] += 1
        self.metrics.in_flight += 1
        self.idle.clear()
        try:
            request = hosted.read(task, await exchange.body())
            exchange.rename(request.request_id)
            await exchange.answer(_encode(await self._ask_tokenizer(hosted, task, request, exchange.request_id)))
        finally:
            self.metrics.in_flight -= 1
            if not self.metrics.in_flight:
                self.idle.set()

    async def _ask_tokenizer(self, hosted: Hosted, task: str, request: Any, request_id: str) -> Any:
        try:
            return await ask_tokenizer(hosted, task, request)
        except Exception as error:  # the engine is foreign code
            raise as_enginehouse_error(error, request_id) from error

    def _admit(self, task: str) -> Hosted:
        """The engine, if it takes this request now. Raises NotSupported, NotReady or Overloaded."""
        if task not in AUXILIARY and task not in self._order.tasks:
            offers = ", ".join(self._order.tasks)
            raise NotSupported(f"Model {self._model_uid!r} does not do {task!r}; it does: {offers}.", param="model")
        state, hosted = self._hosting.state, self._hosting.hosted
        if state != "ready" or hosted is None:
            doing = "is shutting down" if state == "draining" else f"is {state}"
            raise NotReady(f"Model {self._model_uid!r} {doing}; try again.", retry_after=RETRY_SECONDS)
        if self.metrics.in_flight >= self._order.queue_length:
            raise Overloaded(
                f"The queue of model {self._model_uid!r} is full: {self.metrics.in_flight} requests; try again.",
                retry_after=RETRY_SECONDS,
            )
        return hosted

    async def _prepare(self, hosted: Hosted, task: str, request: Any, request_id: str) -> Answer:
        try:
            if own := hosted.own_tasks.get(task):
                return ContributedAnswer(hosted, own.order, request)
            if task == "generate":
                return completion_answer(hosted, request, request_id)
            if task == "embed":
                return EmbeddingAnswer(hosted, request, request_id)
            if task == "rerank":
                return Ranking(hosted, request, request_id)
            return OwnChat(hosted, request) if hosted.has_chat else await chat_answer(hosted, request, request_id)
        except Exception as error:  # templates and parsers are foreign code
            raise as_enginehouse_error(error, request_id) from error

    def writer_of(self, exchange: Exchange, answer: Answer, arrived: float) -> Writes:
        """Who calls the engine and writes the answer. arrived: monotonic seconds when the request came."""
        return Writer(exchange, answer, self.metrics, arrived)

    async def _write(self, exchange: Exchange, writer: Writes) -> None:
        """Runs the writer until it ends, or the client goes away."""
        answering = asyncio.get_running_loop().create_task(self._run(exchange, writer))
        self.answering.add(answering)
        answering.add_done_callback(self.answering.discard)
        try:
            await exchange.wait_for_disconnect()
            if not exchange.finished:
                exchange.gone = True
                self.metrics.cancelled += 1
                _log.info("Request %s: the client went away.", exchange.request_id)
                answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering
        finally:
            answering.cancel()

    async def _run(self, exchange: Exchange, writer: Writes) -> None:
        try:
            await writer.run()
        except asyncio.CancelledError:
            if not exchange.gone:
                await self._give_up(exchange)
            raise
        except Exception as error:  # the engine is foreign code; its caller is told
            failure = as_enginehouse_error(error, exchange.request_id)
            _log.info("Request %s: %d %s", exchange.request_id, failure.status, failure.message)
            self.metrics.errors[failure.code] += 1
            if exchange.started:
                raise
            await exchange.refuse(failure)

    async def _give_up(self, exchange: Exchange) -> None:
        """Tells a client that the worker leaves before its answer is complete."""
        lost = WorkerLost(
            f"Model {self._model_uid!r} was shut down before this answer was complete; try again.",
            retry_after=RETRY_SECONDS,
        )
        self.metrics.errors[lost.code] += 1
        if not exchange.started:
            await exchange.refuse(lost)
        elif not exchange.finished:
            await exchange.end_stream(error_event(lost))
