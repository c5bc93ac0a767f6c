"""Choosing the next token of every sequence of a step.

Rows that are plainly greedy share one argmax. The others are processed together: bias and penalties, temperature,
top-k, top-p, min-p, in this order (that of transformers), and then one uniform number of the sequence's own
generator picks from the distribution, so that a seed gives the same answer whoever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Rows
from typing import NamedTuple

import torch

from enginehouse.sdk import EngineFailed, EnginehouseError, Sampling

from .guides import forbidden
from .sequences import Sequence

CANDIDATES = (128, 1024, 8192)  # how many of the best are tried; sorting a whole vocabulary costs 50 times as much

LEAST_TEMPERATURE = 1e-5  # below it nothing but the likeliest is left, and division would overflow
NO_TOKEN = -1
JUST_BELOW_ONE = 1 - 2**-23  # times any float32 is less than it

Pick = Callable[[torch.Tensor, "Rows[Sequence]"], list[int]]


class Chosen(NamedTuple):
    """A token, and when asked for, its log-probability by the model itself and the best alternatives."""

    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


Choice = Chosen | EnginehouseError


def choose(logits: torch.Tensor, sequences: Rows[Sequence]) -> list[Choice]:
    """One token for each sequence, or why it cannot have one. logits: [sequences, vocabulary], left as they are."""
    failed = _failed(sequences)
    if not failed:
        return _chosen(logits, sequences)
    rows = [row for row in range(len(sequences)) if row not in failed]
    rest = iter(_chosen(logits[rows], [sequences[row] for row in rows]) if rows else ())
    return [failed[row] if row in failed else next(rest) for row in range(len(sequences))]


def _failed(sequences: Rows[Sequence]) -> dict[int, EnginehouseError]:
    """Waits for the guides of constrained sequences; those that broke, by row."""
    failed: dict[int, EnginehouseError] = {}
    for row, sequence in enumerate(sequences):
        if sequence.guide is not None:
            try:
                sequence.guide.allowed()
            except EnginehouseError as error:
                failed[row] = error
    return failed


def _chosen(logits: torch.Tensor, sequences: Rows[Sequence]) -> list[Choice]:
    ids = _ids(logits, sequences)
    chosen: list[Choice] = [Chosen(token) if token != NO_TOKEN else _no_number() for token in ids]
    asking = [
        row for row, sequence in enumerate(sequences) if sequence.sampling.logprobs is not None and ids[row] != NO_TOKEN
    ]
    if asking:
        for row, found in zip(asking, _report(logits, sequences, ids, asking), strict=True):
            chosen[row] = found
    return chosen


def _no_number() -> EnginehouseError:
    return EngineFailed(
        "The model gave no probabilities but NaN for this request. If it happens on every request, launch it with "
        "dtype=float32 or bfloat16; else leave out what shifts them, such as logit_bias."
    )


def _ids(logits: torch.Tensor, sequences: Rows[Sequence]) -> list[int]:
    special = [
        row for row, sequence in enumerate(sequences) if sequence.guide is not None or not is_plain(sequence.sampling)
    ]
    if len(special) == len(sequences):
        return _process(logits.float(), sequences)
    ids = _best(logits, sequences)
    if special:
        own = _process(logits[special].float(), [sequences[row] for row in special])
        for row, token in zip(special, own, strict=True):
            ids[row] = token
    return ids


def is_plain(sampling: Sampling) -> bool:
    """Whether the likeliest token is the choice, as the model gives it."""
    return sampling.temperature == 0 and not sampling.logit_bias and not _has_penalty(sampling)


def _has_penalty(sampling: Sampling) -> bool:
    return sampling.repetition_penalty != 1 or bool(sampling.presence_penalty or sampling.frequency_penalty)


def _process(scores: torch.Tensor, sequences: Rows[Sequence]) -> list[int]:
    if any(sequence.sampling.logit_bias or _has_penalty(sequence.sampling) for sequence in sequences):
        scores = scores.clone()
        for row, sequence in enumerate(sequences):
            _shift(scores[row], sequence)
    if guided := [row for row, sequence in enumerate(sequences) if sequence.guide is not None]:
        scores = _confined(scores, sequences, guided)
    kinds: dict[Pick, list[int]] = {}
    for row, sequence in enumerate(sequences):
        kinds.setdefault(_pick_of(sequence.sampling), []).append(row)
    ids = [0] * len(sequences)
    for pick, rows in kinds.items():
        own = scores if len(rows) == len(sequences) else scores[rows]
        for row, token in zip(rows, pick(own, [sequences[row] for row in rows]), strict=True):
            ids[row] = token
    return ids


def _confined(scores: torch.Tensor, sequences: Rows[Sequence], guided: list[int]) -> torch.Tensor:
    """The scores, those of tokens that the rows `guided` may not take at minus infinity."""
    allowed = torch.stack([guide.allowed() for row in guided if (guide := sequences[row].guide) is not None])
    barred = forbidden(allowed.to(scores.device), scores.shape[1])
    if len(guided) == len(sequences):
        return scores.masked_fill(barred, -torch.inf)
    rows = torch.tensor(guided, device=scores.device)
    return scores.index_copy(0, rows, scores[guided].masked_fill(barred, -torch.inf))


def _pick_of(sampling: Sampling) -> Pick:
    """How a row is drawn depends on its own sampling only, so that its seed does not notice its neighbours."""
    if sampling.temperature == 0:
        return _best
    return _draw_ordered if sampling.top_k > 0 or sampling.top_p < 1 else _draw


def _shift(scores: torch.Tensor, sequence: Sequence) -> None:
    """Applies one sequence's penalties and bias to its scores [vocabulary], in place."""
    sampling = sequence.sampling
    if sampling.repetition_penalty != 1:
        seen = _seen(sequence, scores)
        by = sampling.repetition_penalty
        torch.where(seen, torch.where(scores > 0, scores / by, scores * by), scores, out=scores)
    if sampling.presence_penalty or sampling.frequency_penalty:
        counts = _counts(sequence, scores)
        scores -= sampling.frequency_penalty * counts + sampling.presence_penalty * (counts > 0)
    for token, bias in sampling.logit_bias.items():
        scores[token] += bias


def _seen(sequence: Sequence, scores: torch.Tensor) -> torch.Tensor:
    """Which tokens prompt and answer hold, bool [vocabulary]; kept up to date from step to step."""
    if sequence.seen is None:
        sequence.seen = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
        sequence.seen[torch.tensor(sequence.ids, device=scores.device)] = True
    sequence.seen[sequence.ids[-1]] = True
    return sequence.seen


def _counts(sequence: Sequence, scores: torch.Tensor) -> torch.Tensor:
    """How often the answer holds each token, float [vocabulary]; kept up to date from step to step."""
    if sequence.counts is None:
        sequence.counts = torch.zeros_like(scores)
    elif sequence.answer_length:
        sequence.counts[sequence.ids[-1]] += 1
    return sequence.counts


def _best(scores: torch.Tensor, sequences: Rows[Sequence]) -> list[int]:
    best = scores.max(-1)
    ids: list[int] = best.indices.masked_fill(best.values.isnan(), NO_TOKEN).tolist()
    return ids


def _draw(scores: torch.Tensor, sequences: Rows[Sequence]) -> list[int]:
    weights = _likely(_tempered(scores, sequences), [sequence.sampling for sequence in sequences])
    ids: list[int] = _invert(weights, sequences).tolist()
    return ids


def _draw_ordered(scores: torch.Tensor, sequences: Rows[Sequence]) -> list[int]:
    samplings = [sequence.sampling for sequence in sequences]
    scores = _tempered(scores, sequences)
    values, tokens = _candidates(scores, samplings)
    kept = _truncate(scores, values, samplings)
    places = _invert(kept, sequences)
    found = tokens.gather(1, places.clamp_min(0)[:, None])[:, 0]
    ids: list[int] = found.masked_fill(places == NO_TOKEN, NO_TOKEN).tolist()
    return ids


def _tempered(scores: torch.Tensor, sequences: Rows[Sequence]) -> torch.Tensor:
    temperature = torch.tensor([sequence.sampling.temperature for sequence in sequences], device=scores.device)
    return scores / temperature[:, None].clamp_min(LEAST_TEMPERATURE)


def _likely(scores: torch.Tensor, samplings: Rows[Sampling]) -> torch.Tensor:
    """Probabilities in the vocabulary's order, 0 where min-p drops one."""
    weights = scores.softmax(-1)
    if all(sampling.min_p <= 0 for sampling in samplings):
        return weights
    min_p = torch.tensor([sampling.min_p for sampling in samplings], device=scores.device)
    return weights.masked_fill(weights < min_p[:, None] * weights.amax(-1, keepdim=True), 0)


def _invert(weights: torch.Tensor, sequences: Rows[Sequence]) -> torch.Tensor:
    """Where the cumulated weights [rows, n] pass each sequence's next uniform number; never at a weight of 0.

    NO_TOKEN where they are no numbers.
    """
    uniform = torch.tensor([sequence.draw() for sequence in sequences], device=weights.device)
    sums = weights.cumsum(-1)
    total = sums[:, -1]
    aims = torch.minimum(uniform * total, total * JUST_BELOW_ONE)
    places = torch.searchsorted(sums, aims[:, None], right=True)[:, 0]
    return places.masked_fill(~(total > 0), NO_TOKEN)


def _candidates(scores: torch.Tensor, samplings: Rows[Sampling]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and ids, best first: all, or as many as surely hold every row's choice."""
    for size in CANDIDATES:
        if 2 * size >= scores.shape[1]:
            break
        best = scores.topk(size, sorted=True)
        if _suffices(scores, best.values, samplings):
            return best.values, best.indices
    ordered = scores.sort(dim=-1, descending=True, stable=True)
    return ordered.values, ordered.indices


def _suffices(scores: torch.Tensor, best: torch.Tensor, samplings: Rows[Sampling]) -> bool:
    rest = [row for row, sampling in enumerate(samplings) if not 0 < sampling.top_k <= best.shape[1]]
    if not rest:
        return True
    if any(samplings[row].top_k > 0 for row in rest):
        return False
    held = (best[rest].logsumexp(-1) - scores[rest].logsumexp(-1)).exp().tolist()
    return all(mass > samplings[row].top_p for row, mass in zip(rest, held, strict=True))


def _truncate(scores: torch.Tensor, values: torch.Tensor, samplings: Rows[Sampling]) -> torch.Tensor:
    """Probabilities of the candidates [rows, n], best first, 0 where top-k, top-p or min-p drops one."""
    device, size = values.device, values.shape[1]
    top_k = torch.tensor([sampling.top_k or size for sampling in samplings], device=device).clamp_max(size)
    top_p = torch.tensor([sampling.top_p for sampling in samplings], device=device)
    min_p = torch.tensor([sampling.min_p for sampling in samplings], device=device)
    kept = torch.arange(size, device=device) < top_k[:, None]
    values = values.masked_fill(~kept, -torch.inf)
    unlimited = torch.tensor([sampling.top_k <= 0 for sampling in samplings], device=device)
    total = torch.where(unlimited, scores.logsumexp(-1), values.logsumexp(-1))
    weights = (values - total[:, None]).exp()
    before = weights.cumsum(-1) - weights
    kept &= (before < top_p[:, None]) | (torch.arange(size, device=device) == 0)
    kept &= weights >= min_p[:, None] * weights[:, :1]
    return weights.masked_fill(~kept, 0)


def _report(logits: torch.Tensor, sequences: Rows[Sequence], ids: list[int], asking: list[int]) -> list[Chosen]:
    found = logits[asking].float().log_softmax(-1)
    own = found.gather(1, torch.tensor([[ids[row]] for row in asking], device=found.device))[:, 0].tolist()
    most = max(sequences[row].sampling.logprobs or 0 for row in asking)
    best = found.topk(min(most, found.shape[1]), sorted=True)
    values, tokens = best.values.tolist(), best.indices.tolist()
    return [
        Chosen(ids[row], own[at], tuple(zip(tokens[at], values[at], strict=True))[: sequences[row].sampling.logprobs])
        for at, row in enumerate(asking)
    ]
