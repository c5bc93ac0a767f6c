"""One request on its way: the sequence that the steps extend, and the mailbox its tokens arrive in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import NamedTuple

import torch

from enginehouse.sdk import Sampling
from enginehouse.sdk.generation import FinishReason

from .guides import Guide


class Token(NamedTuple):
    """A token that was chosen. logprob and top (token id, logprob) when asked for; finish on the last one."""

    id: int
    finish: FinishReason | None = None
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Mailbox:
    """Tokens on their way from the step's thread to the event loop of whoever asked (None: nobody listens)."""

    __slots__ = ("_error", "_tokens", "_waiter", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        self._tokens: list[Token] = []
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: Token | Exception) -> None:
        if isinstance(item, Exception):
            self._error = item
        else:
            self._tokens.append(item)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> list[Token]:
        """Waits for tokens and gives all that have come, at least one. Raises what the step raised."""
        while not self._tokens:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        tokens, self._tokens = self._tokens, []
        return tokens


class Sequence:
    """A prompt and its answer. `ids` are both; what is cached is always all of them but the last.

    last_length: length at which the answer ends for lack of room. cancelled: set from any thread.
    guide: what its tokens are chosen from, when the answer is constrained. adapter: name of its LoRA weights.
    """

    __slots__ = (
        "adapter", "cancelled", "counts", "draw", "ends", "guide", "ids", "last_length", "mailbox", "past",
        "prompt_length", "sampling", "seen",
    )  # fmt: skip

    def __init__(self, ids: list[int], sampling: Sampling, last_length: int | None, mailbox: Mailbox) -> None:
        self.ids = ids
        self.prompt_length = len(ids)
        self.sampling = sampling
        self.last_length = last_length
        self.ends: frozenset[int] = frozenset(sampling.stop_token_ids)
        self.mailbox = mailbox
        self.draw = random.Random(sampling.seed).random
        self.cancelled = False
        self.guide: Guide | None = None
        self.adapter: str | None = None
        self.seen: torch.Tensor | None = None
        self.counts: torch.Tensor | None = None
        self.past: object = None

    @property
    def answer_length(self) -> int:
        return len(self.ids) - self.prompt_length

    def append(self, token: int) -> FinishReason | None:
        """Takes a token; says why the answer ends with it, or None."""
        self.ids.append(token)
        if token in self.ends:
            return "stop"
        if self.last_length is not None and len(self.ids) >= self.last_length:
            return "length"
        return None


Post = tuple[Mailbox, Token | Exception]


def deliver(posts: Iterable[Post]) -> None:
    """Puts each item into its mailbox; runs on the mailboxes' event loop."""
    for mailbox, item in posts:
        mailbox.put(item)


def send(posts: list[Post]) -> None:
    """Brings items from the step's thread to their event loops, with one wake-up for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Post]] = {}
    for post in posts:
        if post[0].loop is not None:
            by_loop.setdefault(post[0].loop, []).append(post)
    for loop, own in by_loop.items():
        try:
            loop.call_soon_threadsafe(deliver, own)
        except RuntimeError:
            continue  # that loop has closed: nobody waits there any more
