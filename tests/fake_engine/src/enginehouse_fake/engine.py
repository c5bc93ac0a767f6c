"""The heavy half, which is light: see the options."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import msgspec

from enginehouse.sdk import (
    BadRequest,
    ContextLengthExceeded,
    EngineContext,
    GenerateRequest,
    Message,
    Piece,
    Sampling,
    TokenLogprob,
    Tool,
)

from .dying import write_half_an_event
from .options import FakeOptions

CRASH_STATUS = 3
LOAD_STEPS = 20
_USER, _ASSISTANT = "<|user|>", "<|assistant|>"
_WORD = re.compile(r"\s*\S+|\s+\Z")


class Counters(msgspec.Struct):
    """What the engine saw. started counts every request, those for `stats` too."""

    pid: int
    started: int = 0
    finished: int = 0
    cancelled: int = 0
    tokens_generated: int = 0
    sleeps: int = 0
    wakes: int = 0


class FakeEngine:
    def __init__(self, context: EngineContext) -> None:
        options = context.options
        assert isinstance(options, FakeOptions)
        self._options = options
        self._report = context.report
        self._counters = Counters(pid=os.getpid())
        self._real_requests = self._running = 0
        self._leaked: list[bytes] = []
        self.context_length: int | None = options.context_length or context.context_length
        self.constraints = options.constraints
        self.adapters = options.adapters
        self.can_sleep = options.sleeps and context.may_sleep

    def load(self) -> Coroutine[Any, Any, None] | None:
        self._crash_loading()
        for step in range(LOAD_STEPS if self._options.load_seconds else 0):
            self._report(step / LOAD_STEPS, "pretending to load")
            time.sleep(self._options.load_seconds / LOAD_STEPS)
        return self._ignore_sigterm() if self._options.ignore_sigterm else None

    def close(self) -> None:
        self._leaked.clear()

    async def sleep(self) -> None:
        await asyncio.sleep(self._options.sleep_seconds)
        _fail(self._options.sleep_crash, "sleep")
        self._counters.sleeps += 1

    async def wake(self) -> None:
        await asyncio.sleep(self._options.sleep_seconds)
        _fail(self._options.wake_crash, "wake")
        self._counters.wakes += 1

    def chat_prompt(
        self, messages: tuple[Message, ...], tools: tuple[Tool, ...], template_options: dict[str, Any]
    ) -> str:
        """Everything that was asked for, readable in the answer to `request`."""
        lines = [f"<|tools|>{_json(tools)}"] if tools else []
        lines += [f"<|options|>{_json(template_options)}"] if template_options else []
        lines += [_turn(message) for message in messages]
        opened = self._options.opens_thinking and template_options.get("enable_thinking") is not False
        return "\n".join([*lines, _ASSISTANT]) + ("<think>\n" if opened else "")

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        self._counters.started += 1
        self._running += 1
        try:
            async for piece in self._pieces(request):
                self._counters.tokens_generated += piece.tokens
                yield piece
        except (GeneratorExit, asyncio.CancelledError):
            self._counters.cancelled += 1
            raise
        finally:
            self._running -= 1
        self._counters.finished += 1

    async def _pieces(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        question = _question(request.prompt)
        prompt_tokens = _length(request.prompt)
        if question in ("stats", "request"):
            answer = self._counters if question == "stats" else request
            yield Piece(text=_json(answer), tokens=1, prompt_tokens=prompt_tokens, finish_reason="stop")
            return
        self._begin(prompt_tokens)
        most = self._most_tokens(request.sampling, prompt_tokens)
        tokens = self._tokens(request, question)
        token = next(tokens, None)
        number = 0
        if token is None:
            yield Piece(prompt_tokens=prompt_tokens, finish_reason="stop")
        while token is not None:
            number += 1
            await self._before(number)
            after = next(tokens, None)
            last = after is None or number == most
            yield Piece(
                text=token,
                tokens=1,
                logprobs=_logprobs(token, number, request.sampling),
                prompt_tokens=prompt_tokens if number == 1 else None,
                finish_reason=None if not last else "stop" if after is None and number != most else "length",
            )
            token = None if last else after

    def _tokens(self, request: GenerateRequest, question: str) -> Iterator[str]:
        """The answer, a word a token."""
        text = question if self._options.echo else self._options.text
        if text:
            yield from _WORD.findall(text)
            return
        seed = request.sampling.seed
        word = "word" if seed is None else f"seed{seed}-"
        count = self._options.tokens
        if self._options.flood:
            count = request.sampling.max_tokens or count
        for number in range(count):
            yield f"{word}{number} "

    def _begin(self, prompt_tokens: int) -> None:
        options = self._options
        self._real_requests += 1
        if self._real_requests == options.crash_at_request:
            os._exit(CRASH_STATUS)
        if options.refuse:
            raise BadRequest("The fake engine was told to refuse; launch it without `refuse`.")
        if options.at_once is not None and self._running > options.at_once:
            raise RuntimeError(f"the fake engine bears {options.at_once} requests at once, as it was told")
        if self.context_length is not None and prompt_tokens >= self.context_length:
            raise ContextLengthExceeded(
                f"The prompt has {prompt_tokens} tokens, the context holds {self.context_length}; shorten it."
            )
        if options.leak_bytes:
            self._leaked.append(b"\1" * options.leak_bytes)
        if options.block_seconds:
            time.sleep(options.block_seconds)

    def _most_tokens(self, sampling: Sampling, prompt_tokens: int) -> int | None:
        room = None if self.context_length is None else self.context_length - prompt_tokens
        return min((limit for limit in (sampling.max_tokens, room) if limit is not None), default=None)

    async def _before(self, number: int) -> None:
        """What happens before a token, pauses and faults."""
        options = self._options
        pause = options.first_token_seconds if number == 1 else options.token_seconds
        if pause and not options.flood:
            await asyncio.sleep(pause)
        if number == options.crash_at_token:
            if options.crash_in_event:
                write_half_an_event()
            os._exit(CRASH_STATUS)
        if number == options.oom_at_token:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == options.raise_at_token:
            raise RuntimeError(f"the fake engine broke at token {number}, as it was told")
        if number == options.stall_at_token:
            await asyncio.get_running_loop().create_future()

    def _crash_loading(self) -> None:
        match self._options.load_crash:
            case "raise":
                raise RuntimeError("the fake engine failed to load, as it was told")
            case "exit":
                os._exit(CRASH_STATUS)
            case "segv":
                os.kill(os.getpid(), signal.SIGSEGV)

    async def _ignore_sigterm(self) -> None:
        """A coroutine, because handlers can only be set on the main thread."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _fail(how: str | None, doing: str) -> None:
    match how:
        case "raise":
            raise RuntimeError(f"the fake engine failed to {doing}, as it was told")
        case "exit":
            os._exit(CRASH_STATUS)


def _turn(message: Message) -> str:
    content = message.content if isinstance(message.content, str) else _json(message.content)
    calls = _json(message.tool_calls) if message.tool_calls else ""
    return f"<|{message.role}|>{content}{calls}"


def _question(prompt: str | list[int]) -> str:
    """The prompt, or the last user message of a chat."""
    if isinstance(prompt, list):
        return " ".join(map(str, prompt))
    turns = prompt.rpartition(_ASSISTANT)[0]
    return turns.rpartition(_USER)[2].removesuffix("\n") if turns else prompt


def _length(prompt: str | list[int]) -> int:
    return len(prompt) if isinstance(prompt, list) else len(prompt.split())


def _logprobs(token: str, number: int, sampling: Sampling) -> tuple[TokenLogprob, ...]:
    if sampling.logprobs is None:
        return ()
    top = tuple((f"{token}{rank}" if rank else token, -0.5 - rank) for rank in range(sampling.logprobs))
    return (TokenLogprob(number, token, -0.5, top),)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
