"""From a question to the body that llama.cpp's server takes."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, NamedTuple

import msgspec

from enginehouse.sdk import BadRequest, Sampling

from ..binding import Limits, Question
from ..grammars import grammar_of

SEEDS = 2**32 - 1  # of llama.cpp's; the last number of 32 bits means "draw one"
SPECIAL_TOKENS = 4  # that a model puts around a text at most
AFTER_IMAGE = "\n"  # a prompt that ends with an image ends llama.cpp's process (an assertion: no token to go on from)
_FIXED: dict[str, Any] = {
    # In this order, that of transformers; by its own order llama.cpp would apply the temperature last.
    "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
}
# The likeliest token and no other: at a temperature of 0 the library would weigh the whole vocabulary to the same end.
_GREEDY: dict[str, Any] = {"samplers": ["penalties", "top_k"], "top_k": 1}
_STREAMED: dict[str, Any] = {
    **_FIXED,
    "stream": True,
    "timings_per_token": True,  # how many tokens have been generated, with each piece
    "return_progress": True,  # how many tokens the prompt has, before the first piece
}
_LOOPBACK: dict[str, Any] = {
    **_FIXED,
    "response_fields": [
        *("content", "stop", "stop_type", "stopping_word"),
        *("tokens_predicted", "tokens_evaluated", "completion_probabilities"),
    ],
}
_encode = msgspec.json.Encoder().encode


class Body(NamedTuple):
    """content: JSON. loopback: whether it is for the route `/completion`, and not for a stream in process."""

    content: bytes
    loopback: bool


def body_of(question: Question) -> Body:
    """The body. Raises BadRequest for tokens that do not exist, and for a constraint that cannot be read."""
    request, limits = question.request, question.limits
    whole = _comes_whole(question)
    loopback = whole or bool(question.images)  # the other route takes none
    form = {**_LOOPBACK, "stream": not whole} if loopback else _STREAMED
    body = {**form, **_sampling(request.sampling, limits), "prompt": _prompt(question)}
    if request.sampling.temperature == 0:
        body |= _GREEDY
    if whole and request.stop:
        body["stop"] = request.stop
    if request.sampling.logprobs is not None or question.asks_ids:
        body["n_probs" if loopback else "logprobs"] = max(request.sampling.logprobs or 0, 1)
    body["cache_prompt"] = not limits.adapters  # llama.cpp would read on from what another adapter made of a prompt
    if request.lora_name is not None:
        body["lora"] = [{"id": limits.adapters.index(request.lora_name), "scale": 1.0}]
    if request.keep_special_tokens:
        body["preserved_tokens"] = limits.special
    if request.constraint is not None:
        body["grammar"] = grammar_of(request.constraint)
    return Body(_encode(body), loopback)


def _comes_whole(question: Question) -> bool:
    """Whether the library may make the whole answer by itself: nothing in it can be for us to cut.

    Its slots hold a little more than the context; an answer that might end there is followed token by token.
    """
    sampling, prompt = question.request.sampling, question.prompt
    if not question.request.whole or question.asks_ids or question.images or sampling.max_tokens is None:
        return False
    read = len(prompt) if isinstance(prompt, list) else len(prompt.encode())  # no token is shorter than a byte
    return read + SPECIAL_TOKENS + sampling.max_tokens <= question.limits.context_length


def _prompt(question: Question) -> Any:
    if not question.images:
        return question.prompt
    images = [b64encode(image).decode() for image in question.images]
    behind = AFTER_IMAGE if str(question.prompt).endswith(question.mark) else ""
    return {"prompt_string": f"{question.prompt}{behind}", "multimodal_data": images}


def _sampling(sampling: Sampling, limits: Limits) -> dict[str, Any]:
    vocabulary = limits.vocabulary
    for token in sampling.logit_bias:
        if not 0 <= token < vocabulary:
            raise BadRequest(
                f"logit_bias names token {token}, but ids go from 0 to {vocabulary - 1}.", param="logit_bias"
            )
    return {
        "n_predict": -1 if sampling.max_tokens is None else sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "seed": SEEDS if sampling.seed is None else sampling.seed % SEEDS,
        "repeat_last_n": limits.context_length,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "logit_bias": [[token, bias] for token, bias in sampling.logit_bias.items()],
        "ignore_eos": sampling.ignore_eos,
    }
