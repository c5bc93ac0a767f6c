"""The engine in this process: made from the worker's order, loaded, closed."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..sdk import (
    BadRequest,
    EngineContext,
    EngineFailed,
    EnginehouseError,
    Failure,
    Health,
    LaunchFailed,
    Message,
    NotReady,
    NotSupported,
    RunnerOrder,
    Sampling,
    Tool,
    WorkerOrder,
)
from .calls import ENGINE_THREAD, Method
from .decoding import decode_request
from .own_bodies import OwnBody, own_bodies
from .parsing import ParserClass
from .targets import resolve

State = Literal["loading", "ready", "draining", "failed", "asleep"]
_log = logging.getLogger(__name__)


class Hosted:
    """An engine that is loaded, and what its order says about it."""

    def __init__(self, model_uid: str, order: RunnerOrder, engine: Any) -> None:
        self.model_uid = model_uid
        self.order = order
        self.engine = engine
        self.context_length: int | None = getattr(engine, "context_length", order.context_length)
        own = getattr(engine, "default_sampling", None)
        self.sampling = own if isinstance(own, Sampling) else Sampling()
        self.engine_name = order.engine_name or type(engine).__name__
        self.constraints: tuple[str, ...] = tuple(getattr(engine, "constraints", ()))
        self.adapters: tuple[str, ...] = tuple(getattr(engine, "adapters", ()))
        self.image_mark: str = getattr(engine, "image_mark", "")
        self.tool_parser = _parser(order.tool_parser)
        self.reasoning_parser = _parser(order.reasoning_parser)
        self.own_tasks: dict[str, OwnBody] = own_bodies(order.own_tasks)

    def read(self, task: str, body: bytes) -> Any:
        """The request in a body, for any task. Raises BadRequest that names the field."""
        own = self.own_tasks.get(task)
        return own.read(body) if own else decode_request(task, body)

    @property
    def has_chat(self) -> bool:
        """Whether the engine answers chats itself."""
        return hasattr(self.engine, "chat")

    @property
    def generate(self) -> Method:
        return _method(self.engine, "generate")

    @property
    def chat(self) -> Method:
        return _method(self.engine, "chat")

    def method(self, task: str) -> Method:
        """The engine's method for a task. Raises EngineFailed when its class has none."""
        return _method(self.engine, task)

    async def chat_prompt(
        self, messages: tuple[Message, ...], tools: tuple[Tool, ...], options: dict[str, Any]
    ) -> str | list[int]:
        """Rendering a template is quick, so it needs no thread; an engine may make it a coroutine."""
        made: Any = _method(self.engine, "chat_prompt")(messages, tools, options)
        prompt: str | list[int] = await made if inspect.isawaitable(made) else made
        return prompt


def _method(engine: Any, name: str) -> Callable[..., Any]:
    method = getattr(engine, name, None)
    if method is None:
        raise EngineFailed(f"The engine {type(engine).__name__} has no method {name!r}; update its plugin.")
    found: Callable[..., Any] = method
    return found


class Hosting:
    """From order to engine and back. `state` and progress are what `/health` tells; resigned: the engine asked that
    this process ends, and why."""

    def __init__(self, order: WorkerOrder, runner: RunnerOrder) -> None:
        self._model_uid = order.model_uid
        self._order = runner
        self.state: State = "loading"
        self.hosted: Hosted | None = None
        self.resigned: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._progress = 0.0
        self._stage = "starting"
        self._turning = asyncio.Lock()
        self._sleeps = False

    def health(self, in_flight: int) -> Health:
        return Health(
            state=self.state,
            progress=self._progress,
            stage=self._stage,
            in_flight=in_flight,
            context_length=self.hosted.context_length if self.hosted else None,
            can_sleep=self.can_sleep,
        )

    @property
    def can_sleep(self) -> bool:
        """Whether the engine can give its device's memory back without ending."""
        return self.hosted is not None and bool(getattr(self.hosted.engine, "can_sleep", False))

    async def sleep(self) -> None:
        """From the first moment no request is admitted. Raises NotSupported, NotReady, or what the engine raised."""
        await self._turn("sleep", "ready", "asleep")

    async def wake(self) -> None:
        """As `sleep`, the other way round."""
        await self._turn("wake", "asleep", "ready")

    async def _turn(self, method: str, before: State, after: State) -> None:
        """Nothing where it is so already. An engine that fails at it leaves this worker of no use."""
        if not self.can_sleep or self.hosted is None:
            raise NotSupported(f"Model {self._model_uid!r} cannot sleep: its engine has no way to; terminate it.")
        if self.state == before:
            self.state = "asleep"  # on both ways and from now on, so that no request is admitted meanwhile
        async with self._turning:  # a server that died in between may have asked for the other before
            if self.state == after and self._sleeps == (after == "asleep"):
                return
            if self.state != "asleep":
                raise NotReady(f"Model {self._model_uid!r} is {self.state}; only one that is {before} can {method}.")
            await self._call(method)
            self._sleeps = after == "asleep"
            if self.state == "asleep":  # not told to leave meanwhile
                self.state = after

    async def _call(self, method: str) -> None:
        assert self.hosted is not None
        try:
            turning = await in_thread(method, getattr(self.hosted.engine, method))
            if inspect.isawaitable(turning):
                await turning
        except BaseException:  # it is told to the host and raised again
            self.state = "failed"
            raise

    async def load(self) -> None:
        """Imports, builds and loads the engine, the slow parts on a thread.

        Raises whatever the engine raised.
        """
        try:
            engine, loading = await in_thread("load", self._build_and_load)
            if inspect.isawaitable(loading):
                await loading
            self.hosted = Hosted(self._model_uid, self._order, engine)
        except BaseException:  # it is told to the host and raised again
            self.state = "failed"
            raise
        self.report(1.0, "ready")
        if self.state == "loading":
            self.state = "ready"

    async def close(self) -> None:
        """Lets the engine give everything back. Its errors are logged, no more."""
        if self.hosted is None:
            return
        try:
            closing = await in_thread("close", self.hosted.engine.close)
            if inspect.isawaitable(closing):
                await closing
        except Exception:  # noqa: BLE001 - the engine is foreign code, and this process leaves anyway
            _log.warning("The engine raised while closing.", exc_info=True)

    def _build_and_load(self) -> tuple[Any, Awaitable[None] | None]:
        order = self._order
        self.report(0.0, "importing")
        engine_class = resolve(order.engine)
        engine = engine_class(self._context(resolve(order.options)))
        self.report(0.0, "loading")
        return engine, engine.load()

    def _context(self, options: type[Any]) -> EngineContext:
        order = self._order
        try:
            values = msgspec.convert(order.option_values, options, strict=False)
        except msgspec.ValidationError as error:
            raise BadRequest(f"A launch option is wrong: {error}.") from error
        return EngineContext(
            model_uid=self._model_uid,
            model_path=Path(order.model_path),
            device=order.device,
            options=values,
            context_length=order.context_length,
            chat_template=order.chat_template,
            stop_token_ids=order.stop_token_ids,
            trust_remote_code=order.trust_remote_code,
            tasks=order.tasks,
            facts=order.facts,
            launcher=order.launcher,
            may_sleep=order.may_sleep,
            report=self.report,
            leave=self.leave,
        )

    def leave(self, reason: str) -> None:
        """The engine asks that this process ends, see `EngineContext.leave`. May be called from any thread."""
        with suppress(RuntimeError):  # the loop has closed: the process leaves already
            self.resigned.get_loop().call_soon_threadsafe(self._resign, reason)

    def _resign(self, reason: str) -> None:
        if not self.resigned.done():
            self.resigned.set_result(reason)
            if self.state == "ready":
                self.state = "draining"

    def report(self, progress: float, stage: str) -> None:
        """May be called from any thread."""
        self._progress = min(max(float(progress), 0.0), 1.0)
        self._stage = stage


def _parser(target: str | None) -> ParserClass | None:
    if target is None:
        return None
    try:
        parser: ParserClass = resolve(target)
    except Exception:  # noqa: BLE001 - a parser is foreign code; without it answers are plain text
        _log.warning("Parser %s cannot be imported; answers stay plain text.", target, exc_info=True)
        return None
    return parser


async def in_thread(name: str, function: Callable[[], Any]) -> Any:
    """Runs `function` on a daemon thread of its own: one that never returns cannot keep the process alive."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def tell(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = function()
        except SystemExit as error:
            failure = EngineFailed(f"The engine called sys.exit({error.code!r}) in its {name}; see the worker's log.")
        except BaseException as error:  # noqa: BLE001 - the engine is foreign code; who waits gets what it raised
            failure = error
        try:
            loop.call_soon_threadsafe(tell, result, failure)
        except RuntimeError:
            _log.debug("%s ended after the loop.", name)

    threading.Thread(target=run, name=f"{ENGINE_THREAD} {name}", daemon=True).start()
    return await future


def failure_of(error: BaseException) -> Failure:
    """What failure.json says about a load that raised `error`."""
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, EnginehouseError):
        return Failure(code=error.code, message=error.message, detail=detail)
    if isinstance(error, ImportError):
        message = f"The engine cannot be imported: {error}. Install what it needs into its environment."
    else:
        message = f"The engine could not load the model: {type(error).__name__}: {error}"
    return Failure(code=LaunchFailed.code, message=message, detail=detail)
