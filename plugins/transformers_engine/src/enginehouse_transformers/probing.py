"""Which batch a model can run in, found out from its configuration and proved with two short sequences."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from enginehouse.sdk import Sampling

from .adapters import Adapters
from .batching import FULL, SLIDING, Batch, SlottedBatch
from .loading import Loaded
from .memory import cache_bytes
from .options import TransformersOptions
from .sequences import Mailbox, Sequence
from .serial import SerialBatch
from .slots import SlotStore

CHUNK_ON_CPU, CHUNK = 512, 2048  # tokens; about a quarter of a second of a mid-sized model on either
_NEEDED = {"input_ids", "attention_mask", "position_ids", "past_key_values", "use_cache", "logits_to_keep"}
_SCALED_BY_LENGTH = {"dynamic", "longrope"}
_PROBES = ([3, 5, 7, 9, 11, 4, 6, 8], [2, 4, 6])
_TOLERANCE = {torch.float32: 2e-3, torch.float64: 2e-3}
_COARSE = 6e-2  # half precision: sums in another order differ by so much of the logits' range

_log = logging.getLogger(__name__)


def batch_for(loaded: Loaded, options: TransformersOptions) -> Batch:
    """A slotted batch when the model, with each of its adapters, runs right in it, else one sequence at a time."""
    model, adapters = loaded.model, loaded.adapters
    reason = "it was asked for" if options.batching == "serial" else why_serial(model, loaded.context_length)
    if reason is None:
        batch = _slotted(loaded, options)
        trials = (_probe(model, adapters, batch, name) for name in (None, *adapters.names))
        reason = next(filter(None, trials), None)
        if reason is None:
            batch.limit(cache_bytes(options, model.device))
            return batch
    _log.warning("Sequences run one by one, not batched: %s.", reason)
    adapters.mixed = False
    return SerialBatch(model, adapters, options.max_batch)


def why_serial(model: Any, context_length: int | None) -> str | None:
    """What about the model's shape forbids rows of different length in one cache, or None."""
    missing = _NEEDED - set(inspect.signature(model.forward).parameters)
    if missing:
        return f"its forward does not take {', '.join(sorted(missing))}"
    config = model.config.get_text_config()
    if config._attn_implementation not in ("sdpa", "eager"):
        return f"its attention {config._attn_implementation!r} takes no mask of ours"
    odd = {type(layer) for layer in DynamicCache(config=config).layers} - {DynamicLayer, DynamicSlidingWindowLayer}
    if odd:
        return f"its cache has layers of type {', '.join(sorted(kind.__name__ for kind in odd))}"
    if other := set(getattr(config, "layer_types", None) or ()) - {FULL, SLIDING}:
        return f"it has layers of type {', '.join(sorted(other))}"
    return _why_rope(config, context_length)


def _why_rope(config: Any, context_length: int | None) -> str | None:
    rope = getattr(config, "rope_parameters", None) or {}
    kind = rope.get("rope_type", "default")
    original = rope.get("original_max_position_embeddings") or getattr(config, "max_position_embeddings", None) or 0
    if kind in _SCALED_BY_LENGTH and (context_length or 0) > original:
        return f"its rotary embedding ({kind}) changes with the longest sequence of a batch"
    return None


def _slotted(loaded: Loaded, options: TransformersOptions) -> SlottedBatch:
    model = loaded.model
    config = model.config.get_text_config()
    cache = DynamicCache(config=config)
    store = SlotStore(config.num_hidden_layers, options.max_batch, loaded.context_length)
    chunk = options.prefill_chunk or (CHUNK_ON_CPU if model.device.type == "cpu" else CHUNK)
    return SlottedBatch(model, loaded.adapters, store, _windows(config, cache), options.max_batch, chunk)


def _windows(config: Any, cache: DynamicCache) -> dict[str, int | None]:
    """The kinds of attention layers, each with how far it looks back."""
    slides = [layer.sliding_window for layer in cache.layers if isinstance(layer, DynamicSlidingWindowLayer)]
    if not slides:
        return {FULL: None}
    if len(slides) == len(cache.layers):
        return {SLIDING: slides[0]}
    return {FULL: None, SLIDING: slides[0]}


def _probe(model: Any, adapters: Adapters, batch: SlottedBatch, name: str | None) -> str | None:
    """Runs two sequences, the first with an adapter, through `batch` and alone; says in words when they differ.

    Warms the model up, too.
    """
    try:
        with torch.inference_mode():
            together = _together(batch, name)
            alone = torch.cat([_alone(model, adapters, ids, name if ids is _PROBES[0] else None) for ids in _PROBES])
    except Exception as error:  # noqa: BLE001 - a model that is not made for this may raise anything
        return f"a trial raised {type(error).__name__}: {error}"
    finally:
        batch.clear()
        adapters.mixed = True
    off = ((together - alone).abs().max() / alone.std().clamp_min(1e-6)).item()
    if not off <= _TOLERANCE.get(model.dtype, _COARSE):
        return f"a trial gave other results than the model alone (by {off:.2g} of their spread)"
    return None


def _alone(model: Any, adapters: Adapters, ids: list[int], name: str | None) -> torch.Tensor:
    """Logits [1, vocabulary] behind one probe, as the model gives them when nothing is mixed."""
    adapters.mixed = False
    adapters.use([name])
    logits: torch.Tensor = model(input_ids=torch.tensor([ids], device=model.device)).logits
    return logits[:, -1]


def _together(batch: SlottedBatch, name: str | None) -> torch.Tensor:
    """Logits behind both probes, their last token decoded in a batch of two."""
    sequences = [Sequence(ids[:-1], Sampling(), None, Mailbox(None)) for ids in _PROBES]
    sequences[0].adapter = name
    batch.seat(sequences)
    batch.prefill()
    for sequence, ids in zip(sequences, _PROBES, strict=True):
        sequence.ids.append(ids[-1])
    return batch.decode()
