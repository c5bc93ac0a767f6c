"""Engines of a task that a plugin brings, for the runner to host."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from small_engines import Base

from enginehouse.sdk import BadRequest


class LookRequest(msgspec.Struct, frozen=True):
    model: str
    at: str = ""
    times: int = 1
    stream: bool = False


class OpenLookRequest(msgspec.Struct, frozen=True):
    model: str
    at: str = ""
    stream: bool = False
    rest: dict[str, Any] = {}


class Seen(msgspec.Struct, frozen=True):
    what: Any


class Looker(Base):
    """at: what to do."""

    def look(self, request: Any) -> Any:
        at = request.at
        if at == "leave":
            self.context.leave("it has seen enough")
        if at == "nowhere":
            raise BadRequest("There is nothing there.", param="at")
        if at == "twice":
            return iter((1, 2))
        if at == "nothing":
            return iter(())
        if at == "void":
            return Seen(object())
        if at == "facts":
            return {"facts": self.context.facts, "launcher": self.context.launcher}
        if request.stream:
            return (Seen(number) for number in range(getattr(request, "times", 2)))
        return Seen(getattr(request, "rest", None) or at)


class AsyncLooker(Base):
    async def look(self, request: Any) -> Any:
        await asyncio.sleep(0)
        return Seen("async")


class Blind(Base):
    """Declares the task, and has no method for it."""
