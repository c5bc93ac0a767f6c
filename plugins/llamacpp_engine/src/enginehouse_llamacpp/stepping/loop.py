"""The stepping loop: a thread that owns the context, and puts a token of every answer into each step."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import llama_cpp.llama_cpp as ll

from .answering import StepCall
from .library import Adapters, Batch

CLOSE_SECONDS = 10.0  # a step takes less; after that the process ends with the thread in it


class Slot:
    """A place in the cache for one sequence. held: the tokens that lie there, as the adapter made them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.held: list[int] = []
        self.adapter: str | None = None
        self.call: StepCall | None = None

    def shares(self, call: StepCall) -> int:
        """How much of a prompt lies here already; its last token is always read, for what comes behind it."""
        if self.adapter != call.adapter:
            return 0
        same = takewhile(lambda pair: pair[0] == pair[1], zip(self.held, call.prompt[:-1], strict=False))
        return sum(1 for _ in same)


class SteppingLoop:
    """Answers in the slots of one context; more wait, in their order. All in a step have one adapter, or none."""

    def __init__(self, context: Any, adapters: Adapters, slots: int, batch_size: int) -> None:
        self._context = context
        self._adapters = adapters
        self._memory = ll.llama_get_memory(context)
        self._batch = Batch(max(batch_size, slots))
        self._slots = [Slot(number) for number in range(slots)]
        self._waiting: deque[StepCall] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="llama.cpp steps", daemon=True)
        self._thread.start()

    def submit(self, call: StepCall) -> None:
        with self._changed:
            self._waiting.append(call)
            self._changed.notify()

    def close(self) -> bool:
        """Ends the thread. False when it did not end in CLOSE_SECONDS, so that its context must stay."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            return False
        self._batch.close()
        return True

    def _run(self) -> None:
        while self._wait():
            self._leave()
            self._admit()
            running = [slot.call for slot in self._slots if slot.call]
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - the library is foreign code; who waits gets what it raised
                self._fail(error)
            _tell(running)
        self._fail(RuntimeError("the model is unloaded"))

    def _wait(self) -> bool:
        """Until there is something to do. False when there will be nothing more."""
        with self._changed:
            while not (self._closed or self._waiting or any(slot.call for slot in self._slots)):
                self._changed.wait()
            return not self._closed

    def _leave(self) -> None:
        """Frees the slots of answers that have ended, or that nobody wants any more."""
        for slot in self._slots:
            if slot.call and (slot.call.finished or slot.call.unwanted):
                if not slot.call.finished:
                    slot.call.end(None)
                slot.call = None

    def _admit(self) -> None:
        for call in self._next():
            slot = max((slot for slot in self._slots if slot.call is None), key=lambda slot: slot.shares(call))
            same = slot.shares(call)
            if not ll.llama_memory_seq_rm(self._memory, slot.number, same, -1):
                same = 0  # a model whose state cannot be cut anywhere
                ll.llama_memory_seq_rm(self._memory, slot.number, -1, -1)
            slot.held, slot.adapter, slot.call = call.prompt[:same], call.adapter, call
            call.begin(same)

    def _next(self) -> Iterator[StepCall]:
        """Calls that wait, while there is room. Each must have its slot before the next is asked for."""
        while any(slot.call is None for slot in self._slots):
            with self._changed:
                if not self._waiting or not self._may_join(self._waiting[0]):
                    return
                call = self._waiting.popleft()
            if not call.unwanted:
                yield call

    def _may_join(self, call: StepCall) -> bool:
        running = [slot.call for slot in self._slots if slot.call]
        return call.unwanted or not running or running[0].adapter == call.adapter

    def _step(self) -> None:
        self._batch.clear()
        rows = [*self._generating(), *self._reading()]
        if not len(self._batch):
            return
        self._adapters.use(self._context, next(slot.call.adapter for slot in self._slots if slot.call))
        self._batch.decode(self._context)
        for slot, row in rows:
            call = slot.call
            assert call is not None and call.chooser is not None
            call.take(*call.chooser.choose(self._context, row))

    def _generating(self) -> Iterator[tuple[Slot, int]]:
        """The last token of each answer."""
        for slot in self._slots:
            if slot.call and slot.call.place >= len(slot.call.prompt):
                yield slot, self._put(slot, slot.call.last, wanted=True)

    def _reading(self) -> Iterator[tuple[Slot, int]]:
        """As much of each prompt as there is room for."""
        for slot in self._slots:
            call = slot.call
            if call is None or call.place >= len(call.prompt):
                continue
            end = min(len(call.prompt), call.place + self._batch.size - len(self._batch))
            for token in call.prompt[call.place : end]:
                row = self._put(slot, token, wanted=call.place == len(call.prompt) - 1)
            if end == len(call.prompt):
                yield slot, row

    def _put(self, slot: Slot, token: int, *, wanted: bool) -> int:
        assert slot.call is not None
        row = self._batch.add(token, slot.call.place, slot.number, wanted=wanted)
        slot.held.append(token)
        slot.call.place += 1
        return row

    def _fail(self, error: Exception) -> None:
        """Ends all answers; what the cache holds is not known any more."""
        with self._changed:
            waiting = list(self._waiting) if self._closed else []
        calls = [*(slot.call for slot in self._slots if slot.call), *waiting]
        for slot in self._slots:
            slot.call, slot.held = None, []
            ll.llama_memory_seq_rm(self._memory, slot.number, -1, -1)
        for call in calls:
            if not call.finished:
                call.end(error)
        _tell(calls)


def _tell(calls: list[StepCall]) -> None:
    """News for all who wait, once for each event loop."""
    for loop in {call.loop for call in calls}:
        waiting = [call for call in calls if call.loop is loop]
        try:
            loop.call_soon_threadsafe(_wake, waiting)
        except RuntimeError:  # the loop has closed: nobody waits there any more
            for call in waiting:
                call.unwanted = True


def _wake(calls: list[StepCall]) -> None:
    for call in calls:
        call.came.set()
