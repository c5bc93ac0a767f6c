"""Engines of every shape that the contract allows, for the runner to host."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from enginehouse.sdk import EngineContext, GenerateRequest, NotSupported, Options, Piece, Sampling


class NoOptions(Options, frozen=True):
    pass


class Base:
    context_length: int | None = 100

    def __init__(self, context: EngineContext) -> None:
        self.context = context

    def load(self) -> None:
        self.context.report(0.5, "half")

    def close(self) -> None:
        print("closed", flush=True)

    def chat_prompt(self, messages: Any, tools: Any, options: Any) -> str:
        return "|".join(str(message.content) for message in messages)


class SyncGenerator(Base):
    """Yields on a thread, for ever unless max_tokens is given; prints when it is closed."""

    default_sampling = Sampling(temperature=0.25)

    def generate(self, request: GenerateRequest) -> Any:
        made = 0
        try:
            yield Piece(text=f"t{request.sampling.temperature} ", tokens=1, prompt_tokens=1)
            while request.sampling.max_tokens is None or made < request.sampling.max_tokens:
                made += 1
                time.sleep(0.001)
                yield Piece(text=f"{made} ", tokens=1)
        except GeneratorExit:
            print("generator closed", flush=True)
            raise


class Flood(Base):
    context_length = None

    def generate(self, request: GenerateRequest) -> Any:
        for number in range(request.sampling.max_tokens or 1000):
            yield Piece(text="x", tokens=1, prompt_tokens=1 if number == 0 else None)


class SelfishAsync(Base):
    """An async generator that computes on the event loop and never waits."""

    async def generate(self, request: GenerateRequest) -> Any:
        for _ in range(20):
            time.sleep(0.02)
            yield Piece(text="x", tokens=1, prompt_tokens=1)


class ReturnsAsync(Base):
    """A plain method that returns an async generator, an awaitable load, and a coroutine for the prompt."""

    async def load(self) -> None:
        self.ready = True

    async def close(self) -> None:
        print("closed later", flush=True)

    async def chat_prompt(self, messages: Any, tools: Any, options: Any) -> list[int]:
        return [1, 2, 3]

    def generate(self, request: GenerateRequest) -> Any:
        return self._later(request)

    async def _later(self, request: GenerateRequest) -> Any:
        yield Piece(text=str(request.prompt), tokens=1, prompt_tokens=3, finish_reason="stop")


class CoroutineOfIterator(Base):
    async def generate(self, request: GenerateRequest) -> Any:
        return iter([Piece(text="a", tokens=1, prompt_tokens=1), Piece(text="b", tokens=1, finish_reason="stop")])


class NotPieces(Base):
    def generate(self, request: GenerateRequest) -> Any:
        yield "text"


class RaisesAtOnce(Base):
    def chat_prompt(self, messages: Any, tools: Any, options: Any) -> str:
        raise KeyError("no such template")

    def generate(self, request: GenerateRequest) -> Any:
        raise ZeroDivisionError("nothing to divide")


class OwnChat(Base):
    """Answers chats itself."""

    def chat(self, request: Any) -> Any:
        word = request.messages[-1].content
        if word == "refuse":
            raise NotSupported("not that")
        if request.stream:
            return self._chunks()
        answer = {"id": "own", "choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}}
        return {"dict": answer, "bytes": b'{"id": "own",\n "choices": []}', "nonsense": 7}[word]

    def _chunks(self) -> Any:
        yield {"id": "own", "choices": [{"index": 0, "delta": {"content": "a"}}]}
        yield b'{"id": "own",\n "choices": []}'


class Exits(Base):
    def load(self) -> None:
        sys.exit("no such device")


class HoldsThread(Base):
    """Leaves a non-daemon thread behind, as careless libraries do."""

    def load(self) -> None:
        threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()
