"""From a folder of weights to something that embeds or ranks."""

from __future__ import annotations

import json
import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers.utils.logging import disable_progress_bar

from enginehouse.sdk import EngineContext, LaunchFailed

from .inputs import Reading
from .judges import load_judge
from .model import Features, LexicalHead, Model, scores, vectors, vocabulary_weights
from .onnx_backend import onnx_modules
from .options import SentenceTransformersOptions
from .packing import pack
from .reranking import RawPairs, Scoring, SegmentPairs
from .words import Words

BATCH_ON_CPU, BATCH = 1024, 16_384  # tokens; on a CPU a larger batch is no quicker, only later
LEXICAL_HEAD = "sparse_linear.pt"
_UNKNOWN_LENGTH = 10**9  # tokenizers write "no limit" as a number above this


class Embedder(NamedTuple):
    """dimension: numbers of a vector. normalizes: what the model itself does. sparse: "no", "too" or "only"."""

    reading: Reading
    model: Model
    dimension: int
    normalizes: bool
    sparse: str


class Ranker(NamedTuple):
    words: Words | None
    scoring: Scoring
    model: Model


def load_embedder(context: EngineContext) -> Embedder:
    """Raises LaunchFailed with what to do."""
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it would fill the worker's log
    context.report(0.1, "weights")
    loaded = load_library_model(context)
    context.report(0.7, "preparing")
    words, device = _words(loaded, context), loaded.device
    modules: list[Any] = list(loaded)
    normalizes = isinstance(modules[-1], Normalize)
    if normalizes:
        modules.pop()
    is_sparse = isinstance(loaded, SparseEncoder)
    reader: Any = vocabulary_weights if is_sparse else vectors
    head = _lexical_head(context.model_path, words, loaded)
    dimension = loaded.get_embedding_dimension() or 0
    model = Model(
        modules=onnx_modules(context, modules, words),
        read=head or reader,
        device=device,
        pad=_pad(words),
        has_types=_has_types(words),
        preprocess=lambda raw, kind: loaded.preprocess(raw),
    )
    sparse = "only" if is_sparse else "too" if head else "no"
    model = pack(model, model.modules, words)
    return Embedder(_reading(loaded, words, context), model, dimension, normalizes, sparse)


def load_ranker(context: EngineContext) -> Ranker:
    """Raises LaunchFailed with what to do."""
    disable_progress_bar()  # type: ignore[no-untyped-call]
    context.report(0.1, "weights")
    options: SentenceTransformersOptions = context.options
    if _is_judge(context.model_path):
        judge = load_judge(context, dtype_of(context), limit_of(None, context))
        return Ranker(judge.words, Scoring(judge.pairing, torch.sigmoid, options.truncate), judge.model)
    loaded = load_library_model(context)
    if loaded.num_labels != 1:
        raise LaunchFailed(
            f"The model in {context.model_path} gives {loaded.num_labels} numbers for a pair, and a reranker gives one."
        )
    words, device = _words(loaded, context), loaded.device
    model = Model(
        modules=onnx_modules(context, list(loaded), words),
        read=scores,
        device=device,
        pad=_pad(words),
        has_types=_has_types(words),
        preprocess=lambda raw, kind: _preprocess_pairs(loaded, raw, kind),
    )
    pairing = RawPairs(takes_instruction=True) if words is None else SegmentPairs(words, words.pair_frame())
    return Ranker(words, Scoring(pairing, loaded.activation_fn, options.truncate), pack(model, model.modules, words))


def load_library_model(context: EngineContext) -> Any:
    """The library's own model of this folder, for what it is asked. Raises LaunchFailed."""
    if "rerank" in context.tasks:
        return _load(CrossEncoder, context)
    return _load(SparseEncoder if _is_sparse(context.model_path) else SentenceTransformer, context)


def dtype_of(context: EngineContext) -> Any:
    """For `from_pretrained`. Few CPUs are quick in half precision, and vectors are compared with those of others."""
    name = context.options.dtype
    if name == "auto":
        return torch.float32 if context.device == "cpu" else "auto"
    return getattr(torch, name)


def limit_of(own: int | None, context: EngineContext) -> int | None:
    """Tokens of one sequence: the least that the model, its family and the launch say."""
    known = (own, context.context_length, context.options.max_length or None)
    return min((one for one in known if one and 0 < one < _UNKNOWN_LENGTH), default=None)


def _load(kind: Any, context: EngineContext) -> Any:
    """An instance of one of the library's model classes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            loaded = kind(
                str(context.model_path),
                device=context.device,
                trust_remote_code=context.trust_remote_code,
                local_files_only=True,
                model_kwargs={"dtype": dtype_of(context)},
            )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise LaunchFailed(
            f"The weights in {context.model_path} do not fit into the memory of {context.device}; "
            "choose a smaller model, or dtype=bfloat16."
        ) from error
    except Exception as error:  # the library is foreign code, a model's own code too
        raise LaunchFailed(
            f"The model in {context.model_path} could not be loaded: {error} Check that the folder holds config.json, "
            "the weights and the tokenizer's files, and that it is an embedding model or a reranker."
        ) from error
    return loaded.eval()


def _words(loaded: Any, context: EngineContext) -> Words | None:
    """The tokenizer, where nothing but it stands between a text and the model."""
    first = loaded[0]
    if not isinstance(first, Transformer) or "message" in first.modality_config or first.tokenizer is None:
        return None
    try:
        return Words(first.tokenizer, limit_of(loaded.max_seq_length, context))
    except ValueError:
        return None


def _reading(loaded: Any, words: Words | None, context: EngineContext) -> Reading:
    options: SentenceTransformersOptions = context.options
    prompts = {name: text for name, text in loaded.prompts.items() if text is not None}
    name = options.prompt_name or loaded.default_prompt_name
    if options.prompt_name and options.prompt_name not in prompts:
        raise LaunchFailed(
            f"The model has no prompt named {options.prompt_name!r}; it has: {', '.join(sorted(prompts)) or 'none'}."
        )
    return Reading(
        words=words,
        limit=words.limit if words else None,
        prompts=prompts,
        default_prompt=prompts.get(name, "") if name else "",
        leaves_prompt_out=any(isinstance(one, Pooling) and not one.include_prompt for one in loaded),
        modalities=tuple(one for one in loaded.modalities if isinstance(one, str)),
        truncates=options.truncate,
    )


def _preprocess_pairs(loaded: Any, raw: list[Any], instruction: Hashable) -> Features:
    made: Features = loaded.preprocess(raw, prompt=instruction)
    return made


def _lexical_head(folder: Path, words: Words | None, loaded: Any) -> LexicalHead | None:
    """The linear layer beside the model's own files, of models in the form of BGE-M3."""
    file = folder / LEXICAL_HEAD
    if words is None or not file.is_file():
        return None
    state = torch.load(file, map_location=loaded.device, weights_only=True)
    layer = torch.nn.Linear(state["weight"].shape[1], 1)
    layer.load_state_dict(state)
    tokenizer = words.tokenizer
    special = (tokenizer.cls_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id)
    left_out = frozenset(one for one in (*special, tokenizer.sep_token_id) if one is not None)
    return LexicalHead(layer.to(loaded.device).eval(), left_out)


def _is_sparse(folder: Path) -> bool:
    return any("sparse_encoder" in str(one.get("type")) for one in read_json(folder / "modules.json", []))


def _is_judge(folder: Path) -> bool:
    """Whether it is a plain language model, which no module of the library's makes a reranker."""
    names = read_json(folder / "config.json", {}).get("architectures") or ()
    return not (folder / "modules.json").is_file() and any(str(name).endswith("ForCausalLM") for name in names)


def read_json(file: Path, otherwise: Any) -> Any:
    """What a file of the model's folder says; `otherwise` when there is none that can be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return otherwise


def _pad(words: Words | None) -> int:
    return getattr(words.tokenizer, "pad_token_id", None) or 0 if words else 0


def _has_types(words: Words | None) -> bool:
    return words is not None and "token_type_ids" in words.tokenizer.model_input_names
