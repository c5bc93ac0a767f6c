"""The tokenizer: byte-level pairs learned on the corpus, every digit a token of its own."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from .corpus.mixture import training_stream
from .rendering import END, START, TEMPLATE, TEXT_END, segments

VOCABULARY = 1536
CONTEXT = 1024
MARKS = (
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
    "<tools>",
    "</tools>",
    "<tool_response>",
    "</tool_response>",
)
"""Tokens of their own that stay visible in the decoded text, since parsers look for them."""


def _sample_texts(count: int, seed: int) -> Iterator[str]:
    for dialogue in islice(training_stream(seed), count):
        text = "".join(segment.text for segment in segments(dialogue))
        for mark in (START, END, TEXT_END, *MARKS):
            text = text.replace(mark, "\n")
        yield text


def train_tokenizer(seed: int = 1, examples: int = 60_000) -> Tokenizer:
    """Learn the byte pairs from a sample of the training stream."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(MARKS),
        special_tokens=[TEXT_END, START, END],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_sample_texts(examples, seed), trainer)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    return tokenizer


def as_pretrained(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer in the form that transformers, vLLM and converters read."""
    wrapped = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=TEXT_END,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = TEMPLATE.read_text()
    return wrapped


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja.

    The class is named as transformers 4 and 5 both know it.
    """
    as_pretrained(tokenizer).save_pretrained(str(folder))
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": False}
    path.write_text(json.dumps(settings, indent=2) + "\n")
