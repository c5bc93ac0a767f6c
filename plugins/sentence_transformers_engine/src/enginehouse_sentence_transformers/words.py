"""From texts to token ids, quickly: the tokenizer's own core, its frame of special tokens put on by hand.

A frame is what a tokenizer puts around one text or a pair. It is found out once, so that ids given by a caller get
it too, and so that a query is tokenised once for all its documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

CHARACTERS_PER_TOKEN = 64  # no tokenizer packs more into a token on average; tokenising more is a waste of minutes


class Tokens(NamedTuple):
    """One sequence for the model. types: of segments, where the model has them. cut: it was too long.

    prompt: tokens of a prompt that the model's pooling leaves out. raw: an input that only its own processor can
    read; then there are no ids, and `cost` stands for it.
    """

    ids: Sequence[int]
    types: Sequence[int] | None = None
    cut: bool = False
    prompt: int = 0
    raw: Any = None
    cost: int = 0

    @property
    def length(self) -> int:
        return self.cost or len(self.ids)


class Frame(NamedTuple):
    """Special tokens before, between and after, and the segment of each part."""

    before: list[int]
    between: list[int]
    after: list[int]
    types: tuple[int, int, int, int, int]

    @property
    def length(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)

    def single(self, ids: Sequence[int]) -> list[int]:
        return [*self.before, *ids, *self.after]

    def pair(self, first: Sequence[int], second: Sequence[int]) -> Tokens:
        parts = (self.before, first, self.between, second, self.after)
        types = [kind for kind, part in zip(self.types, parts, strict=True) for _ in part]
        return Tokens([token for part in parts for token in part], types if any(types) else None)


class Words:
    """A model's tokenizer. limit: tokens of one sequence, frame included."""

    def __init__(self, tokenizer: Any, limit: int | None) -> None:
        self.tokenizer = tokenizer
        self.limit = limit
        self._core = _core_of(tokenizer)
        self.vocabulary = len(tokenizer)
        self.single = self._single_frame()
        self.left = getattr(tokenizer, "truncation_side", "right") == "left"

    def encode(self, texts: Sequence[str], limit: int | None = None) -> list[list[int]]:
        """Ids of each text, no special tokens added; of a very long one only its beginning (or end)."""
        if limit is not None:
            most = limit * CHARACTERS_PER_TOKEN
            texts = [self._shortened(text, most) if len(text) > most else text for text in texts]
        if self._core is None:
            return [list(ids) for ids in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
        return [one.ids for one in self._core.encode_batch_fast(list(texts), add_special_tokens=False)]

    def frame(self, ids: Sequence[int], limit: int | None) -> Tokens:
        """One sequence of at most `limit` tokens. Ids that have the frame already keep theirs."""
        frame = self.single
        if frame.length and len(ids) >= frame.length and self._is_framed(ids):
            ids = ids[len(frame.before) : len(ids) - len(frame.after)]
        room = None if limit is None else max(limit - frame.length, 0)
        if room is None or len(ids) <= room:
            return Tokens(frame.single(ids))
        return Tokens(frame.single(ids[len(ids) - room :] if self.left else ids[:room]), cut=True)

    def pair_frame(self) -> Frame:
        """The frame of a pair, found by trying: some tokenizers put one special token between, some two."""
        first, second = self.encode(["a", "b"])
        made = self.tokenizer("a", "b", return_token_type_ids=True)
        ids, types = list(made["input_ids"]), list(made["token_type_ids"])
        start = _find(ids, first, 0)
        middle = _find(ids, second, start + len(first))
        ends = (start, start + len(first), middle, middle + len(second), len(ids))
        kinds = tuple(types[low] if low < high else 0 for low, high in zip((0, *ends), ends, strict=False))
        return Frame(ids[:start], ids[ends[1] : middle], ids[ends[3] :], kinds)  # type: ignore[arg-type]

    def _single_frame(self) -> Frame:
        (plain,) = self.encode(["a"])
        whole = list(self.tokenizer("a")["input_ids"])
        start = _find(whole, plain, 0)
        return Frame(whole[:start], [], whole[start + len(plain) :], (0, 0, 0, 0, 0))

    def _is_framed(self, ids: Sequence[int]) -> bool:
        before, after = self.single.before, self.single.after
        return list(ids[: len(before)]) == before and list(ids[len(ids) - len(after) :]) == after

    def _shortened(self, text: str, most: int) -> str:
        return text[-most:] if self.left else text[:most]


def share(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens that each of a pair keeps, the longer one losing first."""
    if first + second <= room:
        return first, second
    short = min(first, second)
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    return (short, long) if first <= second else (long, short)


def _core_of(tokenizer: Any) -> Any:
    """A core of our own: the library changes padding and truncation of its own under way."""
    backend = getattr(tokenizer, "backend_tokenizer", None) or getattr(tokenizer, "_tokenizer", None)
    if backend is None or not hasattr(backend, "encode_batch_fast"):
        return None
    core = type(backend).from_str(backend.to_str())
    core.no_padding()
    core.no_truncation()
    return core


def _find(ids: Sequence[int], part: Sequence[int], start: int) -> int:
    """Where `part` begins in `ids`; its end when it is not there whole, which leaves no frame after it."""
    for place in range(start, len(ids) - len(part) + 1):
        if list(ids[place : place + len(part)]) == list(part):
            return place
    raise ValueError("The tokenizer spells a text differently with special tokens and without; report this model.")
