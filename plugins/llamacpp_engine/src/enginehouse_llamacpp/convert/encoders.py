"""BERT: models that make vectors, and rerankers that read a query and a document side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gguf import MODEL_TENSOR, TENSOR_NAMES, GGUFWriter, PoolingType

from ..model_file import DOCUMENTS_FROM
from .errors import CannotConvert
from .layout import TOOL, Source, Target, unchanged
from .vocabulary import write_word_pieces
from .weights import Array

_PARTS = {
    "attention.self.query": MODEL_TENSOR.ATTN_Q,
    "attention.self.key": MODEL_TENSOR.ATTN_K,
    "attention.self.value": MODEL_TENSOR.ATTN_V,
    "attention.output.dense": MODEL_TENSOR.ATTN_OUT,
    "attention.output.LayerNorm": MODEL_TENSOR.ATTN_OUT_NORM,
    "intermediate.dense": MODEL_TENSOR.FFN_UP,
    "output.dense": MODEL_TENSOR.FFN_DOWN,
    "output.LayerNorm": MODEL_TENSOR.LAYER_OUT_NORM,
}
_WHOLE = {
    "embeddings.word_embeddings": MODEL_TENSOR.TOKEN_EMBD,
    "embeddings.position_embeddings": MODEL_TENSOR.POS_EMBD,
    "embeddings.token_type_embeddings": MODEL_TENSOR.TOKEN_TYPES,
    "embeddings.LayerNorm": MODEL_TENSOR.TOKEN_EMBD_NORM,
}
_HEAD = {"pooler.dense": MODEL_TENSOR.CLS, "classifier": MODEL_TENSOR.CLS_OUT}
_EXACT = ("embeddings.position_embeddings", "embeddings.token_type_embeddings")  # ggml adds them as they are
_WORDS, _TYPES = "embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight"
_SENTENCE_MODULES = ("Transformer", "Pooling", "Normalize")  # what the engine does by itself; more is not written down
_POOLINGS = {
    **{"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "lasttoken": PoolingType.LAST},
    **{"pooling_mode_mean_tokens": PoolingType.MEAN, "pooling_mode_cls_token": PoolingType.CLS},
    **{"pooling_mode_lasttoken": PoolingType.LAST},
}


class Encoder(NamedTuple):
    """ranks: its head gives one number for a pair of texts.

    ggml gives each token the first of BERT's two types. A reranker tells query and document apart by them, so its
    vocabulary is written twice, the second time with the difference of the types added: a document's token is its id
    plus the size of the vocabulary.
    """

    ranks: bool

    def write_sizes(self, writer: GGUFWriter, source: Source) -> None:
        self._check(source)
        hidden = source.number("hidden_size")
        writer.add_context_length(source.number("max_position_embeddings"))
        writer.add_embedding_length(hidden)
        writer.add_block_count(source.number("num_hidden_layers"))
        writer.add_feed_forward_length(source.number("intermediate_size"))
        writer.add_head_count(source.number("num_attention_heads"))
        writer.add_layer_norm_eps(float(source.config.get("layer_norm_eps", 1e-12)))
        writer.add_causal_attention(False)
        writer.add_vocab_size(source.number("vocab_size") * self._copies(source))
        writer.add_pooling_type(PoolingType.RANK if self.ranks else _pooling_of(source.folder))
        if self.ranks:
            writer.add_embedding_length_out(1)
            writer.add_uint32(DOCUMENTS_FROM, source.number("vocab_size") if self._copies(source) > 1 else 0)

    def write_vocabulary(self, writer: GGUFWriter, source: Source) -> None:
        write_word_pieces(writer, source.folder, source.number("vocab_size"), self._copies(source))
        writer.add_token_type_count(source.number("type_vocab_size"))

    def target_of(self, name: str, source: Source) -> Target | None:
        name = name.removeprefix("bert.")
        stem, _, kind = name.rpartition(".")
        if stem in _HEAD:
            return Target(f"{TENSOR_NAMES[_HEAD[stem]]}.{kind}") if self.ranks else None
        if name == "embeddings.position_ids":
            return None
        if name == _WORDS and self._copies(source) > 1:
            return Target(f"{TENSOR_NAMES[MODEL_TENSOR.TOKEN_EMBD]}.weight", lambda words: _twice(words, source))
        if stem in _WHOLE and kind in ("weight", "bias"):
            return Target(f"{TENSOR_NAMES[_WHOLE[stem]]}.{kind}", unchanged, stem in _EXACT)
        layer, _, part = stem.removeprefix("encoder.layer.").partition(".")
        if part not in _PARTS or not layer.isdigit() or kind not in ("weight", "bias"):
            raise CannotConvert(f"The tensor {name} has no place in a GGUF file of this architecture.")
        return Target(f"{TENSOR_NAMES[_PARTS[part]].format(bid=layer)}.{kind}")

    def needed(self, source: Source) -> Iterator[str]:
        yield from ("token_embd.weight", "position_embd.weight", "token_types.weight")
        yield from ("cls.weight", "cls.output.weight") if self.ranks else ()
        yield from (f"blk.{layer}.attn_q.weight" for layer in range(source.number("num_hidden_layers")))

    def _copies(self, source: Source) -> int:
        return 2 if self.ranks and source.number("type_vocab_size") > 1 else 1

    def _check(self, source: Source) -> None:
        config = source.config
        kinds = {
            "hidden_act": (config.get("hidden_act", "gelu"), "gelu"),
            "position_embedding_type": (config.get("position_embedding_type") or "absolute", "absolute"),
        }
        for key, (found, known) in kinds.items():
            if found != known:
                raise CannotConvert(f"config.json says {key} {found!r}; only {known!r} is converted here.")
        labels = config.get("id2label") or {}
        if self.ranks and len(labels) != 1:
            raise CannotConvert(
                f"The model has {len(labels)} labels: it sorts texts into classes, and only rerankers (one number for "
                "a pair) are converted."
            )


def _twice(words: Array, source: Source) -> Array:
    """The embedding as it is, and again with what the second type of token has more than the first."""
    stored = source.tensors.get(f"bert.{_TYPES}") or source.tensors.get(_TYPES)
    if stored is None:
        raise CannotConvert(f"The weights in {source.folder} lack {_TYPES}; fetch them again.")
    types = stored.read()
    return np.concatenate([words, words + (types[1] - types[0])])


def _pooling_of(folder: Path) -> PoolingType:
    """As sentence-transformers' own files say, else the mean, as it would take by itself."""
    modules = _json(folder / "modules.json", [])
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    if odd := [kind for kind in kinds if kind not in _SENTENCE_MODULES]:
        raise CannotConvert(f"{folder} has a module {odd[0]!r} behind the network, which is not converted here.")
    place = next((module["path"] for module in modules if str(module.get("type", "")).endswith("Pooling")), None)
    if place is None:
        return PoolingType.MEAN
    config: dict[str, Any] = _json(folder / place / "config.json", {})
    named = config.get("pooling_mode")
    modes = [named] if named is not None else [key for key, on in config.items() if key in _MODES and on is True]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise CannotConvert(f"The vectors of tokens are joined by {modes or 'nothing'}, which is not converted. {TOOL}")
    return _POOLINGS[modes[0]]


_MODES = (
    *("pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens", "pooling_mode_lasttoken"),
    *("pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens"),
)


def _json(file: Path, otherwise: Any) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else otherwise
    except ValueError as error:
        raise CannotConvert(f"{file} cannot be read: {error}.") from error
