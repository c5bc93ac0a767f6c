"""The draw follows the distribution it should."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from enginehouse.sdk import Sampling
from enginehouse_transformers.sampling import choose
from enginehouse_transformers.sequences import Mailbox, Sequence

PROMPT = [3, 4, 4]


def sequence(**sampling: Any) -> Sequence:
    return Sequence(list(PROMPT), Sampling(**sampling), None, Mailbox(None))


def frequencies(logits: torch.Tensor, count: int = 4000, **sampling: Any) -> torch.Tensor:
    drawing = [sequence(seed=at, **sampling) for at in range(count)]
    found = Counter(chosen.id for chosen in choose(logits.expand(count, -1), drawing))
    return torch.tensor([found[token] / count for token in range(logits.shape[-1])])


WISHES = [
    ({"temperature": 1.0}, []),
    ({"temperature": 0.6}, [TemperatureLogitsWarper(0.6)]),
    ({"temperature": 1.5, "top_k": 4}, [TemperatureLogitsWarper(1.5), TopKLogitsWarper(4)]),
    ({"top_p": 0.7}, [TopPLogitsWarper(0.7)]),
    ({"top_k": 6, "top_p": 0.8}, [TopKLogitsWarper(6), TopPLogitsWarper(0.8)]),
    ({"min_p": 0.2}, [MinPLogitsWarper(0.2)]),
    ({"top_p": 0.95, "min_p": 0.1}, [TopPLogitsWarper(0.95), MinPLogitsWarper(0.1)]),
    ({"repetition_penalty": 1.7}, [RepetitionPenaltyLogitsProcessor(1.7)]),
]


@pytest.mark.parametrize(("wish", "processors"), WISHES, ids=[str(wish) for wish, _ in WISHES])
@pytest.mark.parametrize("size", [24, 600])
def test_draws_follow_the_distribution_of_transformers(wish: dict[str, Any], processors: Any, size: int) -> None:
    logits = torch.randn(size, generator=torch.Generator().manual_seed(1)) * 3
    expected = LogitsProcessorList(processors)(torch.tensor([PROMPT]), logits[None].clone())[0].softmax(-1)
    found = frequencies(logits, **wish)
    assert (found - expected).abs().max() < 0.03
    assert not (found[expected == 0] > 0).any()


def test_a_flat_distribution_over_a_large_vocabulary_is_drawn_from_whole() -> None:
    found = [chosen.id for chosen in choose(torch.zeros(64, 40_000), [sequence(top_p=0.99) for _ in range(64)])]
    assert len(set(found)) > 60


def test_bias_and_penalties_move_greedy_choices_too() -> None:
    logits = torch.zeros(1, 8)
    logits[0, 4] = 2.0
    assert [chosen.id for chosen in choose(logits, [sequence(temperature=0)])] == [4]
    assert choose(logits, [sequence(temperature=0, logit_bias={4: -5.0, 6: 1.0})])[0].id == 6
    assert choose(logits, [sequence(temperature=0, presence_penalty=2.0)])[0].id == 4, "the prompt does not count"
    growing = sequence(temperature=0, frequency_penalty=1.5)
    picked = []
    for _ in range(3):
        picked.append(choose(logits, [growing])[0].id)
        growing.append(picked[-1])
    assert picked == [4, 4, 0]
    assert logits[0, 4] == 2.0, "the model's logits are left as they are"


def test_rows_of_every_kind_share_a_step() -> None:
    logits = torch.randn(5, 50)
    rows = [
        sequence(temperature=0), sequence(seed=1), sequence(top_k=1), sequence(temperature=0, logprobs=3),
        sequence(top_p=1e-6),
    ]  # fmt: skip
    chosen = choose(logits, rows)
    best = logits.argmax(-1).tolist()
    assert [chosen[at].id for at in (0, 2, 3, 4)] == [best[at] for at in (0, 2, 3, 4)]
    assert [found.logprob is None for found in chosen] == [True, True, True, False, True]
    assert chosen[3].top[0] == (best[3], chosen[3].logprob)
