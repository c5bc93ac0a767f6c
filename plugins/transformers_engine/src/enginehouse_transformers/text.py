"""From tokens to text, piece by piece: never half a character, spaces as the whole text would have them.

Only a short window is decoded for each token: the tokens since the last place where the text was whole, with
the tokens before them as context, because a tokenizer may write a token differently at the start of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

CONTEXT = 6  # tokens of the prompt that the first token of the answer is read with
BYTES_OF_A_CHARACTER = 4
MOST_PENDING = 32  # tokens; text that has not become whole by then is no text, and is sent as it is
_BROKEN = "\N{REPLACEMENT CHARACTER}"

Decode = Callable[[Sequence[int]], str]


def decoder_of(tokenizer: Any, *, skip_special: bool = True) -> Decode:
    """The quickest way from token ids to text that `tokenizer` has."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return lambda ids: backend.decode(ids, skip_special_tokens=skip_special)
    return lambda ids: tokenizer.decode(ids, skip_special_tokens=skip_special, clean_up_tokenization_spaces=False)


class TextWindow:
    """Text of one answer while it grows."""

    __slots__ = ("_decode", "_ids", "_sent", "_whole")

    def __init__(self, decode: Decode, prompt: Sequence[int]) -> None:
        self._decode = decode
        self._ids = list(prompt[-CONTEXT:])
        self._whole = len(self._ids)  # tokens at the front of the window whose text is out already
        self._sent = len(decode(self._ids)) if self._ids else 0

    def feed(self, tokens: Sequence[int]) -> str:
        """The text that has become certain with `tokens`."""
        return "".join(self._add(token) for token in tokens)

    def finish(self) -> str:
        """What was held back: text that ended within a character."""
        return self._decode(self._ids)[self._sent :]

    def _add(self, token: int) -> str:
        self._ids.append(token)
        text = self._decode(self._ids)
        pending = len(self._ids) - self._whole
        if not text.endswith(_BROKEN) or pending >= MOST_PENDING:
            out = text[self._sent :]
            if len(text) > 0 or pending >= MOST_PENDING:
                self._slide()
            return out
        certain = text[:-1] if pending >= BYTES_OF_A_CHARACTER else text.rstrip(_BROKEN)
        out = certain[self._sent :]
        self._sent = max(self._sent, len(certain))
        return out

    def _slide(self) -> None:
        del self._ids[: self._whole]
        self._whole = len(self._ids)
        self._sent = len(self._decode(self._ids))


def token_texts(tokenizer: Any) -> Callable[[int], str]:
    """The text of a single token, special ones spelled out; remembered."""
    decode = decoder_of(tokenizer, skip_special=False)
    return lru_cache(maxsize=65536)(lambda token: decode([token]))
