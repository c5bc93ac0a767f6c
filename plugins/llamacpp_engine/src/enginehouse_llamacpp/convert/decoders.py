"""Language models that continue a text: Llama and its kin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gguf import MODEL_TENSOR, TENSOR_NAMES, GGUFWriter, RopeScalingType

from .errors import CannotConvert
from .layout import Change, Config, Source, Target, unchanged
from .sampling import write_sampling
from .vocabulary import write_vocabulary
from .weights import Array

_PARTS = {
    "self_attn.q_proj": MODEL_TENSOR.ATTN_Q,
    "self_attn.k_proj": MODEL_TENSOR.ATTN_K,
    "self_attn.v_proj": MODEL_TENSOR.ATTN_V,
    "self_attn.o_proj": MODEL_TENSOR.ATTN_OUT,
    "self_attn.q_norm": MODEL_TENSOR.ATTN_Q_NORM,
    "self_attn.k_norm": MODEL_TENSOR.ATTN_K_NORM,
    "mlp.gate_proj": MODEL_TENSOR.FFN_GATE,
    "mlp.up_proj": MODEL_TENSOR.FFN_UP,
    "mlp.down_proj": MODEL_TENSOR.FFN_DOWN,
    "input_layernorm": MODEL_TENSOR.ATTN_NORM,
    "post_attention_layernorm": MODEL_TENSOR.FFN_NORM,
}
_WHOLE = {
    "model.embed_tokens": MODEL_TENSOR.TOKEN_EMBD,
    "model.norm": MODEL_TENSOR.OUTPUT_NORM,
    "lm_head": MODEL_TENSOR.OUTPUT,
}
_ROPE_KINDS = {"default": None, "linear": RopeScalingType.LINEAR, "yarn": RopeScalingType.YARN}


class Decoder(NamedTuple):
    """pairs_neighbours: its rotary embedding turns neighbouring numbers in ggml, halves in transformers."""

    pairs_neighbours: bool

    def write_sizes(self, writer: GGUFWriter, source: Source) -> None:
        config = source.config
        try:
            heads, hidden = config["num_attention_heads"], config["hidden_size"]
            head_size = config.get("head_dim") or hidden // heads
            writer.add_context_length(config["max_position_embeddings"])
            writer.add_embedding_length(hidden)
            writer.add_block_count(config["num_hidden_layers"])
            writer.add_feed_forward_length(config["intermediate_size"])
            writer.add_head_count(heads)
            writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
            writer.add_key_length(head_size)
            writer.add_value_length(head_size)
            writer.add_rope_dimension_count(head_size)
            writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
            writer.add_vocab_size(config["vocab_size"])
        except KeyError as error:
            raise CannotConvert(f"config.json does not say {error}.") from error
        _write_rope(writer, config)

    def write_vocabulary(self, writer: GGUFWriter, source: Source) -> None:
        write_vocabulary(writer, source.folder, source.number("vocab_size"))
        write_sampling(writer, source.folder)

    def target_of(self, name: str, source: Source) -> Target | None:
        tied = bool(source.config.get("tie_word_embeddings"))
        if name.endswith("rotary_emb.inv_freq") or (name == "lm_head.weight" and tied):
            return None
        stem, _, kind = name.rpartition(".")
        if stem in _WHOLE and kind == "weight":
            return Target(f"{TENSOR_NAMES[_WHOLE[stem]]}.weight")
        layer, _, part = stem.removeprefix("model.layers.").partition(".")
        if part not in _PARTS or not layer.isdigit() or kind not in ("weight", "bias"):
            raise CannotConvert(f"The tensor {name} has no place in a GGUF file of this architecture.")
        change = _heads_change(part, source.config) if self.pairs_neighbours else unchanged
        return Target(f"{TENSOR_NAMES[_PARTS[part]].format(bid=layer)}.{kind}", change)

    def needed(self, source: Source) -> Iterator[str]:
        yield from ("token_embd.weight", "output_norm.weight")
        yield from (f"blk.{layer}.attn_q.weight" for layer in range(source.number("num_hidden_layers")))


def _write_rope(writer: GGUFWriter, config: Config) -> None:
    """transformers 5 says it in rope_parameters, 4 in rope_theta and rope_scaling."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0))
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind not in _ROPE_KINDS:
        raise CannotConvert(f"The rotary embedding is scaled as {kind!r}, which is not converted here.")
    scaling = _ROPE_KINDS[kind]
    if scaling is not None:
        writer.add_rope_scaling_type(scaling)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        if original := rope.get("original_max_position_embeddings"):
            writer.add_rope_scaling_orig_ctx_len(original)


def _heads_change(part: str, config: Config) -> Change:
    heads = config["num_attention_heads"]
    counts = {"self_attn.q_proj": heads, "self_attn.k_proj": config.get("num_key_value_heads") or heads}
    count = counts.get(part)
    return unchanged if count is None else lambda array: _interleave(array, count)


def _interleave(array: Array, heads: int) -> Array:
    """Rows of each head, the first half beside the second: what was turned as (i, i + half) becomes (2i, 2i + 1)."""
    half = array.shape[0] // heads // 2
    halves = array.reshape(heads, 2, half, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)
