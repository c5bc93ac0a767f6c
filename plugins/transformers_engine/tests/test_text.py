"""Text of a growing answer: whole characters only, the same as the text of all tokens together."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from enginehouse_transformers.text import TextWindow, decoder_of

TEXT = "Grüße, 世界! 👩‍👩‍👧 naïve café — ok\n\tyes  two spaces"


@pytest.fixture(scope="module")
def metaspace() -> Any:
    """A tokenizer in sentencepiece's manner: spaces are part of words, unknown characters become bytes."""
    words = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefghijklmnopqrstuvwxyzGy,!"]
    tokenizer = Tokenizer(
        models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=[], byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")


def pieces_of(tokenizer: Any, ids: list[int], prompt: list[int]) -> list[str]:
    window = TextWindow(decoder_of(tokenizer), prompt)
    return [*(window.feed([token]) for token in ids), window.finish()]


def test_every_piece_is_whole_and_all_are_the_text(tokenizer: Any) -> None:
    pieces = pieces_of(tokenizer, tokenizer.encode(TEXT), [])
    assert "".join(pieces) == TEXT
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert pieces[:4] == ["G", "r", "", "ü"]


def test_sentencepieces_spaces_come_as_in_the_whole_text(metaspace: Any) -> None:
    ids = metaspace.encode(TEXT, add_special_tokens=False)
    assert "".join(pieces_of(metaspace, ids, [])) == TEXT
    for cut in (1, 7, 13):
        assert "".join(pieces_of(metaspace, ids[cut:], ids[:cut])) == TEXT[len(metaspace.decode(ids[:cut])) :]


def test_special_tokens_are_left_out(tokenizer: Any) -> None:
    ids = [0, *tokenizer.encode("a b"), 0, *tokenizer.encode(" c")]
    assert "".join(pieces_of(tokenizer, ids, [0])) == "a b c"


def test_bytes_that_are_no_text_neither_hold_it_up_nor_change_it(tokenizer: Any) -> None:
    rng = random.Random(1)
    for _ in range(50):
        ids = [rng.randrange(1, 257) for _ in range(120)] + tokenizer.encode("end")
        pieces = pieces_of(tokenizer, ids, [])
        assert "".join(pieces) == tokenizer.decode(ids)


def test_half_a_character_at_the_end_is_shown_as_such(tokenizer: Any) -> None:
    ids = tokenizer.encode("é")[:1]
    assert pieces_of(tokenizer, ids, []) == ["", "\N{REPLACEMENT CHARACTER}"]


def test_tokens_that_come_together_give_the_same_text(tokenizer: Any) -> None:
    ids = tokenizer.encode(TEXT)
    window = TextWindow(decoder_of(tokenizer), [])
    assert window.feed(ids[:30]) + window.feed(ids[30:]) + window.finish() == TEXT
