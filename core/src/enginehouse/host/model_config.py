"""What a model's config.json, or a GGUF file's metadata, says about its size. Pure.

config.json has several spellings: model families were written by different people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Config = Mapping[str, Any]

CONTEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_CACHE_HEADS = ("num_key_value_heads", "num_kv_heads", "multi_query_group_num", "n_head_kv")
_HIDDEN = ("hidden_size", "n_embd", "d_model")
_WITHOUT_CACHE = ("linear", "mamba", "conv", "recurrent")


class ModelShape(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a transformer; None for what its config does not say.

    cache_numbers: numbers that one token leaves in the cache of keys and values, all layers together.
    """

    context_length: int | None = None
    cache_numbers: int | None = None
    hidden_size: int | None = None
    vocabulary: int | None = None


def shape_of(config: Config) -> ModelShape:
    """The shape that a config.json describes; that of its language model when there are several parts."""
    nested = config.get("text_config") or config.get("llm_config")
    inner = nested if isinstance(nested, Mapping) else config
    return ModelShape(
        context_length=_number(inner, CONTEXT),
        cache_numbers=_cache_numbers(inner),
        hidden_size=_number(inner, _HIDDEN),
        vocabulary=_number(inner, ("vocab_size",)),
    )


def shape_of_gguf(metadata: Config) -> ModelShape:
    """The shape that a GGUF file's metadata describes."""
    own = f"{metadata.get('general.architecture')}."
    inner = {key.removeprefix(own): value for key, value in metadata.items() if key.startswith(own)}
    tokens = metadata.get("tokenizer.ggml.tokens")
    return ModelShape(
        context_length=_number(inner, ("context_length",)),
        cache_numbers=_gguf_cache_numbers(inner),
        hidden_size=_number(inner, ("embedding_length",)),
        vocabulary=len(tokens) if isinstance(tokens, list) else _number(inner, ("vocab_size",)),
    )


def _gguf_cache_numbers(inner: Config) -> int | None:
    """Heads of keys are one number for all layers, or one for each: 0 where a layer has no attention."""
    layers, hidden = _number(inner, ("block_count",)), _number(inner, ("embedding_length",))
    heads = inner.get("attention.head_count_kv") or inner.get("attention.head_count")
    all_heads = _number(inner, ("attention.head_count",))
    size = hidden // all_heads if hidden and all_heads else None
    sizes = [_number(inner, (f"attention.{name}_length",)) or size for name in ("key", "value")]
    counts = [heads] * layers if isinstance(heads, int) and layers else heads
    if not isinstance(counts, list) or not all(isinstance(count, int) for count in counts) or None in sizes:
        return None
    return sum(counts) * sum(filter(None, sizes)) or None


def _cache_numbers(config: Config) -> int | None:
    layers, heads = _cached_layers(config), _number(config, _HEADS)
    width = _width(config, heads) if heads else None
    return layers * width if layers and width else None


def _cached_layers(config: Config) -> int | None:
    """Layers with attention; hybrids name the kind of each layer, and some kinds keep no keys and values."""
    kinds = config.get("layer_types")
    if isinstance(kinds, list) and kinds:
        return sum(not any(word in str(kind) for word in _WITHOUT_CACHE) for kind in kinds)
    return _number(config, _LAYERS)


def _width(config: Config, heads: int) -> int | None:
    """Numbers of one token's keys and values in one layer."""
    latent = [_number(config, (key,)) for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")]
    if all(latent):  # multi-head latent attention, whose keys and values are cached unfolded
        return heads * sum(filter(None, latent))
    hidden = _number(config, _HIDDEN)
    size = _number(config, ("head_dim",)) or (hidden // heads if hidden else None)
    return 2 * _cache_heads(config, heads) * size if size else None


def _cache_heads(config: Config, heads: int) -> int:
    if config.get("multi_query") is True:  # falcon and gpt_bigcode: one head of keys for all
        return _number(config, ("num_kv_heads",)) or 1 if config.get("new_decoder_architecture") else 1
    return _number(config, _CACHE_HEADS) or heads


def _number(config: Config, keys: tuple[str, ...]) -> int | None:
    found = (config.get(key) for key in keys)
    return next((value for value in found if isinstance(value, int) and value > 0 and value is not True), None)
