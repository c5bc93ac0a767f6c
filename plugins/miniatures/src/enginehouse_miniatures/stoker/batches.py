"""Token blocks: whole dialogues packed into rows of one length, each seeing only itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .corpus.dialogue import Dialogue
from .rendering import segments

NOT_LEARNED = -100
Piece = tuple[list[int], list[bool]]


@dataclass(frozen=True)
class Block:
    """Rows of packed dialogues, all (rows, length).

    `targets` are the next tokens, or -100 where none is learned; `owners` number the dialogues of a row.
    """

    tokens: Tensor
    targets: Tensor
    owners: Tensor

    def mask(self) -> Tensor:
        """Who may look at whom, (rows, 1, length, length): earlier positions of the same dialogue."""
        length = self.tokens.shape[1]
        same = self.owners[:, None, :, None] == self.owners[:, None, None, :]
        return same & torch.ones(length, length, dtype=torch.bool, device=self.tokens.device).tril()

    def to(self, device: str) -> "Block":
        """The block on another device."""
        return Block(self.tokens.to(device), self.targets.to(device), self.owners.to(device))


def encode(tokenizer: Tokenizer, dialogues: list[Dialogue]) -> list[Piece]:
    """Token ids of each dialogue, with a mark on those to learn."""
    parts = [segments(dialogue) for dialogue in dialogues]
    flat = [segment for pieces in parts for segment in pieces]
    encoded = iter(tokenizer.encode_batch_fast([segment.text for segment in flat], add_special_tokens=False))
    return [_joined([(next(encoded).ids, segment.learned) for segment in pieces]) for pieces in parts]


def _joined(parts: list[tuple[list[int], bool]]) -> Piece:
    ids = [token for tokens, _ in parts for token in tokens]
    return ids, [learned for tokens, learned in parts for _ in tokens]


class Packer:
    """Fills rows with pieces from a stream; what does not fit waits for a later row."""

    def __init__(self, tokenizer: Tokenizer, stream: Iterator[Dialogue], pool: int = 128) -> None:
        self.tokenizer = tokenizer
        self.stream = stream
        self.pool = pool
        self.waiting: list[Piece] = []

    def block(self, rows: int, length: int) -> Block:
        """The next block of `rows` rows of `length` tokens."""
        filled = [self._row(length) for _ in range(rows)]
        tokens, targets, owners = (torch.tensor(column) for column in zip(*filled, strict=True))
        return Block(tokens, targets, owners)

    def _row(self, length: int) -> tuple[list[int], list[int], list[int]]:
        ids: list[int] = []
        targets: list[int] = []
        owners: list[int] = []
        while (piece := self._fitting(length - len(ids), length)) is not None:
            tokens, learned = piece
            following = zip(tokens[1:], learned[1:], strict=True)
            targets += [token if learn else NOT_LEARNED for token, learn in following] + [NOT_LEARNED]
            owners += [len(owners)] * len(tokens)
            ids += tokens
        rest = length - len(ids)
        return ids + [0] * rest, targets + [NOT_LEARNED] * rest, owners + [length] * rest

    def _fitting(self, space: int, length: int) -> Piece | None:
        if len(self.waiting) < self.pool // 2:
            fresh = encode(self.tokenizer, list(islice(self.stream, self.pool)))
            self.waiting += [piece for piece in fresh if len(piece[0]) <= length]
        for place, piece in enumerate(self.waiting):
            if len(piece[0]) <= space:
                return self.waiting.pop(place)
        return None
