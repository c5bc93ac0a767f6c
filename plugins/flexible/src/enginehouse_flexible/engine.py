"""The heavy half: builds the model by its launcher, in the worker, and calls its `infer`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from enginehouse.sdk import BadRequest, EngineContext, LaunchFailed

from .building import build
from .crew import Crew, Limits, settled
from .jobs import Job
from .model import Call
from .requests import InferRequest
from .shapes import against, shape_of


class FlexibleEngine:
    """The engine `flexible`."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._name = context.launcher or "?"
        self._crew: Crew | None = None
        self._model: Any = None

    def load(self) -> None:
        """Raises LaunchFailed or BadRequest that names the launcher."""
        self._context.report(0.0, "building")
        self._model = build(self._context)
        self._context.report(0.1, "loading")
        try:
            settled(self._model.load())
        except SystemExit as error:
            raise LaunchFailed(f"Launcher {self._name}: load() called sys.exit({error.code!r}).") from error
        options = self._context.options
        limits = Limits(infer_seconds=options.infer_seconds, memory_limit_mb=options.memory_limit_mb)
        self._crew = Crew(self._model, self._name, limits, self._context.leave)

    async def infer(self, request: InferRequest) -> AsyncIterator[Any]:
        """One result, or events when the request says `stream`, each as JSON. A caller that leaves closes this
        generator, and the model's."""
        assert self._crew is not None
        job = Job(self._call(request), bool(request.stream), asyncio.get_running_loop())
        self._crew.take(job)
        try:
            async for item in job.items():
                yield item
        finally:
            job.leave()

    def close(self) -> None:
        """Lets the model give back what it holds, where it knows how to."""
        for name in ("close", "stop"):
            if callable(close := getattr(self._model, name, None)):
                close()
                return

    def _call(self, request: InferRequest) -> Call:
        """The arguments, checked against what `infer` takes. Raises BadRequest."""
        shape = shape_of(self._model.infer)
        call = Call(tuple(request.args or ()), dict(request.rest))
        if request.stream is not None and shape is not None and "stream" in shape.parameters:
            call.kwargs["stream"] = request.stream
        if misfit := against(shape, call.args, call.kwargs):
            raise BadRequest(f"This model's infer does not take that: {misfit}")
        return call
