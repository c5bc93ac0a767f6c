"""What a request costs the key it came with.

Usage is read only for keys that have a budget of tokens; other answers pass untouched.

A runner that is asked to (see `sdk.worker.USAGE_HEADER`) states the usage itself: in a header of an answer in one
piece, in a comment after the last event of a stream. The comment stays here, the client never sees it. A server
that states nothing is read: the `usage` of its JSON, or one token an event; so is a stream that was cut off.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import NamedTuple, Protocol

import msgspec

from ..host.account import Account
from ..sdk.worker import USAGE_COMMENT, USAGE_HEADER
from .upstream import Answer

CALLER: ContextVar[Account | None] = ContextVar("caller", default=None)
"""Whose key the request that is being served came with; None where no keys are asked for."""

ASK = USAGE_HEADER + b": 1\r\n"
"""The header of a request whose usage is wanted."""

CHARACTERS_A_TOKEN = 4  # of a prompt whose tokens nobody has stated: a usual figure for English
_EVENT = b"data:"


class Used(NamedTuple):
    """What a request has used, in tokens; and, where its worker says, microseconds: from its arrival until the
    engine was asked, and from then to the first piece of the answer."""

    read: int
    generated: int
    prepared_us: int = 0
    first_us: int = 0


class Tally(Protocol):
    """Is told what one request has used, one of the two, once."""

    def charge(self, used: Used) -> None:
        """As the worker stated it."""

    def estimate(self, events: int) -> None:
        """Nobody stated it; so many events were sent."""


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class _Used(msgspec.Struct):
    usage: _Usage | None = None


_used = msgspec.json.Decoder(_Used)


def admit(model: str, prompt: int) -> Bill | None:
    """Counts a request against its caller's key; a bill where tokens count too. Raises NotAllowed, OverBudget."""
    account = CALLER.get()
    if account is None:
        return None
    account.admit(model, time.time(), time.monotonic())
    return Bill(account, prompt) if account.counts_tokens else None


class Bill:
    """What one request will cost the key it came with. prompt: bytes of its body."""

    __slots__ = ("_account", "_prompt")

    def __init__(self, account: Account, prompt: int) -> None:
        self._account = account
        self._prompt = prompt

    def charge(self, used: Used) -> None:
        self._account.charge(used.read + used.generated, time.time())

    def estimate(self, events: int) -> None:
        self._account.charge(self._prompt // CHARACTERS_A_TOKEN + events, time.time())


def stand_before(answer: Answer, first: bytes, bill: Tally) -> tuple[Answer, bytes]:
    """The answer to be relayed, with its first bytes: itself where a header has stated its usage already."""
    if answer.status != 200:
        return answer, first
    streams = False
    for name, value in answer.headers:
        if name == USAGE_HEADER:
            bill.charge(_stated(value))
            return answer, first
        if name == b"content-type":
            streams = value.startswith(b"text/event-stream")
    billed = BilledAnswer(answer, bill, streams)
    return billed, billed.pass_on(first)


class BilledAnswer(Answer):
    """Stands before a worker's answer, which its connection goes on filling, and reads the usage as it passes."""

    __slots__ = ("_answer", "_bill", "_body", "_events", "_held", "_line_begins", "_open")

    def __init__(self, answer: Answer, bill: Tally, streams: bool) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.length = answer.length
        self.ended = False
        self._answer = answer
        self._bill = bill
        self._events = 0
        self._held = b""
        self._line_begins = True
        self._body: list[bytes] | None = None if streams else []
        self._open = True

    async def piece(self) -> bytes:
        """As the answer's own, without the comment about its usage."""
        return self.pass_on(await self._answer.piece())

    def pass_on(self, data: bytes) -> bytes:
        """What of a piece goes to the client."""
        self.ended = self._answer.ended
        if not self._open:
            return data
        if self._body is not None:
            self._body.append(data)
        else:
            data = self._pass(data)
        if self.ended:
            self._settle()
            rest, self._held = self._held, b""
            return data if rest.startswith(USAGE_COMMENT) else data + rest
        return data

    def close(self) -> None:
        """Also charges what was made of an answer that the client did not wait for."""
        if self._open:
            self._open = False
            self._bill.estimate(self._events)
        self._answer.close()

    def _pass(self, data: bytes) -> bytes:
        """Holds back what may be the comment: a line that begins with a colon. Events are never held."""
        self._events += data.count(_EVENT)
        data = self._held + data
        begins = data.rfind(b"\n:") + 1
        if not begins and not (self._line_begins and data.startswith(b":")):
            begins = len(data)
        elif b"\n" in data[begins:].rstrip(b"\n"):
            begins = len(data)  # more came after it: a comment like any other
        self._held = data[begins:]
        passed = data[:begins]
        if passed:
            self._line_begins = passed.endswith(b"\n")
        return passed

    def _settle(self) -> None:
        """The answer is whole: charges what it says, or what can be seen of it."""
        self._open = False
        if self._held.startswith(USAGE_COMMENT):
            return self._bill.charge(_stated(self._held[len(USAGE_COMMENT) :]))
        used = _usage_of(b"".join(self._body)) if self._body is not None else None
        if used is None:
            self._bill.estimate(self._events)
        else:
            self._bill.charge(used)


def _stated(value: bytes) -> Used:
    return Used(*map(int, value.split(None, 4)[:4]))


def _usage_of(body: bytes) -> Used | None:
    try:
        usage = _used.decode(body).usage
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None
    if usage is None:
        return None
    return Used(usage.prompt_tokens or usage.total_tokens - usage.completion_tokens, usage.completion_tokens)
