"""One answer of the stepping loop, from its thread to the event loop."""

from __future__ import annotations

import asyncio
import codecs
from collections import deque

from enginehouse.sdk import EngineFailed

from ..binding import Question
from ..chunks import Chunk, StopType, Token
from .library import Model
from .sampling import Chooser, Guide


class StepCall:
    """A question, its prompt as ids, and what was answered so far. place: tokens of it that the cache holds."""

    def __init__(self, model: Model, question: Question, prompt: list[int], guide: Guide | None) -> None:
        self.prompt = prompt
        self.adapter = question.request.lora_name
        self.place = 0
        self.last = -1
        self.unwanted = False
        self.finished = False
        self.loop = asyncio.get_running_loop()
        self.came = asyncio.Event()
        self.question, self.guide = question, guide
        self.chooser: Chooser | None = None
        self._model = model
        self._chunks: deque[Chunk] = deque()
        self._error: Exception | None = None
        self._produced = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def begin(self, place: int) -> None:
        """It has got a slot, which holds so many tokens of its prompt already."""
        self.place = place
        self.chooser = Chooser(self._model, self.question, self.prompt, self.guide)

    def take(self, token: int, told: Token | None) -> None:
        """The next token. Called by the loop's thread."""
        self._produced += 1
        self.last = token
        stop = self._stop_at(token)
        raw = b"" if token in self._model.ends else self._spelled(token)
        chunk = Chunk(
            content=self._decoder.decode(raw, final=stop != "none"),
            tokens_predicted=self._produced,
            tokens_evaluated=len(self.prompt),
            stop=stop != "none",
            stop_type=stop,
            completion_probabilities=[] if told is None else [told],
        )
        self._chunks.append(chunk)
        if chunk.stop:
            self.end(None)

    def end(self, error: Exception | None) -> None:
        """Nothing more comes. Called by the loop's thread, and no more than once with an error."""
        self.finished = True
        self._error = error
        if self.chooser is not None:
            self.chooser.close()
            self.chooser = None

    async def batch(self) -> list[Chunk]:
        """Waits for chunks; gives all that have come, none when the answer has ended. Raises what went wrong."""
        while True:
            if not self.finished:
                await self.came.wait()
            self.came.clear()
            finished = self.finished  # asked before: chunks come before the end
            if chunks := [self._chunks.popleft() for _ in range(len(self._chunks))]:
                return chunks
            if finished:
                break
        if self._error is not None:
            raise EngineFailed(f"llama.cpp failed on this request: {self._error}") from self._error
        return []

    def close(self) -> None:
        """The loop frees the slot before its next step."""
        self.unwanted = True

    def _stop_at(self, token: int) -> StopType:
        if token in self._model.ends:
            return "eos"
        most, limit = self.question.request.sampling.max_tokens, self.question.limits.context_length
        full = len(self.prompt) + self._produced >= limit
        return "limit" if full or self._produced == most else "none"

    def _spelled(self, token: int) -> bytes:
        return self._model.spell(token, special=self.question.request.keep_special_tokens)
