"""The one thread that runs the model: admits, reads prompts, decodes, and hands tokens over, step by step."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence as Rows

import torch

from enginehouse.sdk import EngineFailed, EnginehouseError, Overloaded

from .batching import Batch
from .guides import Guide
from .sampling import Chosen, choose
from .sequences import Post, Sequence, Token, send

CLOSE_SECONDS = 20.0  # a step of the largest models on a slow CPU; a thread that is stuck longer is left alone
RETRY_SECONDS = 1  # a place in the queue comes free with every answer that ends

_log = logging.getLogger(__name__)


class Scheduler:
    """Sequences in, tokens out. Its thread sleeps while there is nothing to do."""

    def __init__(self, batch: Batch, most_waiting: int, threads: int) -> None:
        self._batch = batch
        self._most_waiting = most_waiting
        self._threads = threads
        self._waiting: deque[Sequence] = deque()
        self._changed = threading.Condition()
        self._cancelled: list[Sequence] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="transformers steps", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Queues a sequence. Raises Overloaded when too many wait, EngineFailed after `close`."""
        with self._changed:
            if self._closing:
                raise EngineFailed("The engine is closing and takes no more requests; send it to another replica.")
            if len(self._waiting) >= self._most_waiting:
                raise Overloaded(
                    f"{len(self._waiting)} requests are waiting for this model already (max_waiting); try again.",
                    retry_after=RETRY_SECONDS,
                )
            self._waiting.append(sequence)
            self._changed.notify()

    def cancel(self, sequence: Sequence) -> None:
        """Nobody wants this sequence any more: it leaves before the next step."""
        with self._changed:
            sequence.cancelled = True
            self._cancelled.append(sequence)
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread; requests that are left fail."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                _log.error("The running step did not end within %g s; its thread is left alone.", CLOSE_SECONDS)

    def _run(self) -> None:
        if self._threads:
            torch.set_num_threads(self._threads)
        with torch.inference_mode():
            while self._goes_on():
                pass
        self._abandon(EngineFailed("The engine was closed."))

    def _goes_on(self) -> bool:
        """One round. What goes wrong between steps fails all requests, never the thread: nobody else could answer."""
        try:
            if not self._wait():
                return False
            self._turn()
        except Exception as error:  # noqa: BLE001 - caches and devices are foreign code, too
            _log.exception("The batch is lost between two steps.")
            self._abandon(explain(error, len(self._batch.running)))
        return True

    def _abandon(self, error: EnginehouseError) -> None:
        with self._changed:
            waiting, self._waiting = self._waiting, deque()
        self._fail([*self._batch.running, *self._batch.joining(), *waiting], error)
        self._batch.clear()

    def _wait(self) -> bool:
        """Waits for work and puts aside what was cancelled. False when the engine closes."""
        with self._changed:
            while not (self._closing or self._waiting or self._cancelled or self._is_busy()):
                self._changed.wait()
            gone, self._cancelled = self._cancelled, []
            if gone:
                self._waiting = deque(sequence for sequence in self._waiting if not sequence.cancelled)
            if not self._batch.joining():
                self._batch.admit(self._waiting)
        if gone:
            self._batch.drop(gone)
        return not self._closing

    def _is_busy(self) -> bool:
        return bool(self._batch.running or self._batch.joining())

    def _turn(self) -> None:
        """One step of each kind for which there is work."""
        if self._batch.running:
            self._decode()
        if self._batch.joining():
            self._prefill()

    def _decode(self) -> None:
        if stopped := self._batch.make_room():
            with self._changed:
                self._waiting.extendleft(stopped)
        rows = list(self._batch.running)
        try:
            self._extend(rows, self._batch.decode())
        except Exception as error:  # noqa: BLE001 - the model is foreign code; its requests fail, the loop goes on
            self._recover(rows, error)

    def _prefill(self) -> None:
        joiners = self._batch.joining()
        try:
            done = self._batch.prefill()
            if done is not None:
                self._extend(*done)
        except Exception as error:  # noqa: BLE001 - the model is foreign code; its requests fail, the loop goes on
            self._recover(joiners, error)

    def _extend(self, sequences: Rows[Sequence], logits: torch.Tensor) -> None:
        """Appends a token to each sequence and hands it over; those that end, or cannot have one, leave."""
        posts: list[Post] = []
        ended: list[Sequence] = []
        guided: list[tuple[Guide, int]] = []
        for sequence, chosen in zip(sequences, choose(logits, sequences), strict=True):
            if isinstance(chosen, EnginehouseError):
                posts.append((sequence.mailbox, chosen))
                ended.append(sequence)
                continue
            token = _token(sequence, chosen)
            posts.append((sequence.mailbox, token))
            if token.finish is not None:
                ended.append(sequence)
            elif sequence.guide is not None:
                guided.append((sequence.guide, token.id))
        Guide.advance(guided)
        send(posts)
        if ended:
            self._batch.drop(ended)

    def _recover(self, sequences: Rows[Sequence], error: Exception) -> None:
        _log.error("A step with %d sequence(s) failed.", len(sequences), exc_info=error)
        self._fail(sequences, explain(error, len(sequences)))
        self._batch.drop(sequences)
        if not self._is_busy():
            self._batch.clear()

    def _fail(self, sequences: Rows[Sequence], error: EnginehouseError) -> None:
        send([(sequence.mailbox, error) for sequence in sequences])


def _token(sequence: Sequence, chosen: Chosen) -> Token:
    return Token(chosen.id, sequence.append(chosen.id), chosen.logprob, chosen.top)


def explain(error: Exception, sequences: int) -> EnginehouseError:
    """What a step's exception means to whoever asked."""
    if isinstance(error, EnginehouseError):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error):
        return EngineFailed(
            f"The device ran out of memory in a step with {sequences} sequence(s); "
            "send shorter prompts or less at once, or launch with a smaller max_batch or max_context."
        )
    return EngineFailed(
        f"The model raised {type(error).__name__} in a step with {sequences} sequence(s): {error}. "
        "The worker's log has the traceback."
    )
