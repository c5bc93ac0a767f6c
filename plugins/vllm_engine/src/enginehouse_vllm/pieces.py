"""vLLM's stream of one answer, as pieces of text: chat chunks and completion chunks alike."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from enginehouse.sdk import EngineFailed, Piece, TokenLogprob
from enginehouse.sdk.generation import FinishReason

_EVENT, _DONE, _ERROR = b"data: ", b"[DONE]", b'{"error"'


class _Top(msgspec.Struct):
    token: str
    logprob: float


class _Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Top] = []


class _Logprobs(msgspec.Struct):
    """Of a chat: content. Of a completion: the columns."""

    content: list[_Token] | None = None
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] = []


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str = ""
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None


class StreamFailed(Exception):
    """The stream ended with an error; `body` is vLLM's."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body[:500].decode("utf-8", "replace"))
        self.body = body


class Pieces:
    """Reads one answer. The last piece waits for the usage, which comes after it and says how many tokens there were.

    top: alternatives beside each token, None for no logprobs. stops: the request's stop strings. vLLM leaves the one
    it stopped at out of the text; it is put back, so that the answer is cut, and the stop told, as on every engine.
    """

    def __init__(self, top: int | None, stops: tuple[str, ...]) -> None:
        self._top = top
        self._stops = stops
        self._tokens = 0
        self._last: _Choice | None = None
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces in some bytes of the stream. Raises StreamFailed."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(_EVENT) and not line.startswith(_DONE, len(_EVENT)):
                yield from self._event(line[len(_EVENT) :])

    def _event(self, data: bytes) -> Iterator[Piece]:
        if data.startswith(_ERROR):
            raise StreamFailed(data)
        chunk = _decode(data)
        for choice in chunk.choices:
            if choice.finish_reason is not None:
                self._last = choice
            elif (text := _text(choice)) or choice.logprobs:
                yield self._piece(choice, text, chunk.usage)
        if chunk.usage is not None and self._last is not None:
            last, self._last = self._last, None
            yield self._ending(last, chunk.usage)

    def _piece(self, choice: _Choice, text: str, usage: _Usage | None) -> Piece:
        logprobs = self._logprobs(choice)
        tokens = max(1, len(logprobs))
        self._tokens += tokens
        read = usage.prompt_tokens if usage is not None else None
        return Piece(text=text, tokens=tokens, logprobs=logprobs, prompt_tokens=read)

    def _ending(self, choice: _Choice, usage: _Usage) -> Piece:
        text, stop = _text(choice), choice.stop_reason
        if isinstance(stop, str) and stop in self._stops:
            text += stop
        return Piece(
            text=text,
            tokens=(usage.completion_tokens or 0) - self._tokens,
            logprobs=self._logprobs(choice),
            prompt_tokens=usage.prompt_tokens,
            finish_reason=_reason(choice.finish_reason),
        )

    def _logprobs(self, choice: _Choice) -> tuple[TokenLogprob, ...]:
        told = choice.logprobs
        if told is None or self._top is None:
            return ()
        if told.content is not None:
            return tuple(
                TokenLogprob(
                    -1, one.token, one.logprob, self._best({top.token: top.logprob for top in one.top_logprobs})
                )
                for one in told.content
            )
        return tuple(
            TokenLogprob(-1, token, logprob or 0.0, self._best(top or {}))
            for token, logprob, top in zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=False)
        )

    def _best(self, top: dict[str, float]) -> tuple[tuple[str, float], ...]:
        """vLLM also tells the chosen token where it is none of the best."""
        return tuple(sorted(top.items(), key=lambda one: -one[1])[: self._top])


_decoder = msgspec.json.Decoder(_Chunk)


def _decode(data: bytes) -> _Chunk:
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise EngineFailed(f"vLLM's stream holds what cannot be read: {error}. Use another version of vLLM.") from error


def _text(choice: _Choice) -> str:
    return choice.text if choice.delta is None else choice.delta.content or ""


def _reason(reason: str | None) -> FinishReason:
    if reason in ("stop", "tool_calls", "repetition"):
        return "stop"
    if reason == "length":
        return "length"
    raise EngineFailed(f"vLLM ended the answer early ({reason}). Try again; see the worker's log for the reason.")
