"""Makes Shunter's weights: `python -m enginehouse_miniatures.shunter.train`, some minutes on one core.

The same weights come out on the same machine with the same versions of its libraries.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from .corpus import Question, question, vocabulary

FOLDER = Path(__file__).parents[1] / "models" / "shunter"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LENGTH = 96
STEPS, QUERIES, WARMUP, RATE = 5000, 12, 200, 2e-3
HELD_OUT = 500  # questions about names that were never seen


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Words of the corpus whole, names in syllables, all else in letters."""
    words = dict.fromkeys((*SPECIAL, *vocabulary()))
    table = {word: place for place, word in enumerate(words)}
    core = Tokenizer(models.WordPiece(table, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", table["[CLS]"]), ("[SEP]", table["[SEP]"])],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=LENGTH,
    )


def make_model(tokens: int) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=tokens,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=LENGTH,
        num_labels=1,  # type: ignore[call-arg]
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.05,
    )
    return BertForSequenceClassification(config)


def scores_of(model: Any, tokenizer: Any, questions: list[Question]) -> torch.Tensor:
    """questions x documents."""
    queries = [one.query for one in questions for _ in one.documents]
    documents = [document for one in questions for document in one.documents]
    batch = tokenizer(queries, documents, padding=True, return_tensors="pt")
    scores: torch.Tensor = model(**batch).logits.view(len(questions), -1)
    return scores


def train(steps: int) -> tuple[Any, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(11)
    numbers = random.Random(11)
    tokenizer = make_tokenizer()
    model = make_model(len(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    began = time.monotonic()
    for step in range(1, steps + 1):
        rate = RATE * min(step / WARMUP, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        scores = scores_of(model, tokenizer, [question(numbers, others=2) for _ in range(QUERIES)])
        loss = _loss(scores)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            sys.stderr.write(f"step {step}: loss {loss.item():.4f}, {time.monotonic() - began:.0f} s\n")
    return model.eval(), tokenizer  # type: ignore[no-untyped-call]


def _loss(scores: torch.Tensor) -> torch.Tensor:
    """The answer before all others, and scores that are probabilities when taken one by one."""
    first = torch.zeros(len(scores), dtype=torch.long)
    wanted = torch.zeros_like(scores)
    wanted[:, 0] = 1
    alone = torch.nn.functional.binary_cross_entropy_with_logits(
        scores, wanted, pos_weight=torch.tensor(float(scores.shape[1] - 1))
    )
    return torch.nn.functional.cross_entropy(scores, first) + alone


def evaluate(model: Any, tokenizer: Any, count: int = HELD_OUT) -> dict[str, float]:
    """On questions about names never seen, each with ten documents: how often the answer comes first, and how near."""
    torch.set_num_threads(1)  # on a busy machine two would wait for each other far longer than they compute
    numbers = random.Random(97)
    firsts, reciprocal = 0, 0.0
    with torch.inference_mode():
        for _ in range(count):
            line = scores_of(model, tokenizer, [question(numbers, held_out=True)])[0]
            rank = 1 + int((line[1:] >= line[0]).sum())
            firsts += rank == 1
            reciprocal += 1 / rank
    return {"first": firsts / count, "mean_reciprocal_rank": reciprocal / count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    model, tokenizer = train(given.steps)
    given.out.mkdir(parents=True, exist_ok=True)
    model = model.half().float()  # so that nothing is lost where the weights are stored in half precision
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)
    sys.stdout.write(json.dumps(evaluate(model, tokenizer)) + "\n")


if __name__ == "__main__":
    main()
