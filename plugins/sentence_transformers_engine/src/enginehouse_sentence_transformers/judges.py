"""Language models that rank by answering yes or no: the form of Qwen3-Reranker."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from enginehouse.sdk import EngineContext, LaunchFailed

from .model import Features, Model, scores
from .packing import pack
from .reranking import Judgement
from .words import Words

# What the model was trained to be asked with; another wording would be another model.
SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
BEFORE = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"


class Judge(NamedTuple):
    words: Words
    pairing: Judgement
    model: Model


class YesOverNo:
    """How much more likely the next token is "yes" than "no": one product with the difference of their two rows."""

    def __init__(self, decoder: Any, yes_minus_no: torch.Tensor) -> None:
        self._decoder = decoder
        self._yes_minus_no = yes_minus_no

    def __call__(self, features: Features) -> Features:
        mask = features["attention_mask"]
        states = self._decoder(input_ids=features["input_ids"], attention_mask=mask, use_cache=False)[0]
        last = states[torch.arange(len(mask), device=mask.device), mask.sum(dim=1) - 1]
        features["scores"] = (last @ self._yes_minus_no).float()
        return features


def load_judge(context: EngineContext, dtype: Any, limit: int | None) -> Judge:
    """Raises LaunchFailed for a language model that knows no such conversation."""
    if context.options.backend != "torch":
        raise LaunchFailed("A language model that ranks is run by PyTorch only; use backend=torch.")
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": context.trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(context.model_path, **options)
        model: Any = AutoModelForCausalLM.from_pretrained(context.model_path, dtype=dtype, **options)
    except Exception as error:  # the library is foreign code, a model's own code too
        raise LaunchFailed(f"The model in {context.model_path} could not be loaded: {error}") from error
    yes, no = (tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    unknown = (None, tokenizer.unk_token_id)
    if yes in unknown or no in unknown or tokenizer.convert_tokens_to_ids("<|im_start|>") in unknown:
        raise LaunchFailed(
            f"The language model in {context.model_path} is no reranker in a form that is known here: a "
            "cross-encoder, one with sentence-transformers' modules, or one that answers yes or no as Qwen3-Reranker."
        )
    model = model.to(context.device).eval()
    rows = model.get_output_embeddings().weight
    own = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    words = Words(tokenizer, min((one for one in (limit, own) if one), default=None))
    before, after = words.encode([BEFORE, AFTER])
    made = Model(
        modules=(YesOverNo(model.base_model, (rows[yes] - rows[no]).detach()),),
        read=scores,
        device=model.device,
        pad=tokenizer.pad_token_id or 0,
    )
    pairing = Judgement(words, before, after, context.options.instruction or INSTRUCTION)
    return Judge(words, pairing, pack(made, [model.base_model], words))
