"""What vLLM's routes are sent: the body for one request of this server's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from enginehouse.sdk import Constraint, GenerateRequest, Message, Sampling, Tool

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
WHOLE_INTERVAL = 1_000_000  # tokens a chunk: where the caller waits for all of it, the first alone, then the rest
MOST_STOPS = (
    4  # stop strings that vLLM takes; where there are more, each chunk tells the usage, for a cut in mid stream
)
_KINDS = {"json_schema": "json", "regex": "regex", "choice": "choice", "grammar": "grammar"}
_ROLES = {"developer": "system", "function": "tool"}  # OpenAI's younger and older names for what templates know


class ChatPrompt(str):
    """A conversation's prompt as the template renders it, with the conversation itself, which is what vLLM gets."""

    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    options: dict[str, Any]

    @classmethod
    def of(cls, text: str, messages: tuple[Message, ...], tools: tuple[Tool, ...], options: dict[str, Any]) -> Any:
        made = cls(text)
        made.messages, made.tools, made.options = messages, tools, options
        return made


def generation_body(
    request: GenerateRequest, model: str, more: Mapping[str, Any], own_stops: int = 0
) -> tuple[str, dict[str, Any]]:
    """Route and body for one answer, streamed. more: fields of vLLM's own that the caller sent.

    own_stops: how many stop strings at the front are the model's own. vLLM is not told of those: it ends at their
    tokens anyway, and holds back as many characters as the longest has, which is ten tokens of waiting for the first.
    """
    prompt = request.prompt
    body = {**more, "model": request.lora_name or model, "stream": True, "stream_options": {"include_usage": True}}
    body |= _sampling(request.sampling)
    body["skip_special_tokens"] = not request.keep_special_tokens
    asked = list(request.stop[own_stops:][:MOST_STOPS])  # the runner cuts at all of them
    if asked:
        body["stop"] = asked
    if len(asked) < len(request.stop):
        body["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    if request.whole:
        body["stream_interval"] = WHOLE_INTERVAL
    if request.constraint is not None:
        body["structured_outputs"] = _constraint(request.constraint)
    if isinstance(prompt, ChatPrompt):
        return CHAT, body | _conversation(prompt) | _chat_logprobs(request.sampling.logprobs)
    body |= {"prompt": str(prompt) if isinstance(prompt, str) else prompt}
    if request.sampling.logprobs is not None:
        body["logprobs"] = request.sampling.logprobs
    return COMPLETIONS, body | {"add_special_tokens": not request.special_tokens}


def _sampling(sampling: Sampling) -> dict[str, Any]:
    body: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop_token_ids": list(sampling.stop_token_ids),
        "ignore_eos": sampling.ignore_eos,
    }
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    return body


def _conversation(prompt: ChatPrompt) -> dict[str, Any]:
    """tool_choice none: the template shows the tools all the same, and the answer stays text for our own parsers."""
    body: dict[str, Any] = {"messages": [_turn(message) for message in prompt.messages]}
    if prompt.tools:
        body |= {"tools": [msgspec.to_builtins(tool) for tool in prompt.tools], "tool_choice": "none"}
    if prompt.options:
        body["chat_template_kwargs"] = prompt.options
    # The answer is the text as it is; reasoning is split off by our own parser.
    return body | {"include_reasoning": True}


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = msgspec.to_builtins(message)
    turn["role"] = _ROLES.get(message.role, message.role)
    return turn


def _chat_logprobs(count: int | None) -> dict[str, Any]:
    return {} if count is None else {"logprobs": True, "top_logprobs": count}


def _constraint(constraint: Constraint) -> dict[str, Any]:
    text: Any = constraint.text
    if constraint.kind == "json_schema":
        schema = msgspec.json.decode(text)
        text = {**({"anyOf": [schema]} if isinstance(schema, bool) else schema), "x-guidance": _json(constraint)}
    elif constraint.kind == "choice":
        text = msgspec.json.decode(text)
    return {_KINDS[constraint.kind]: text}


def _json(constraint: Constraint) -> dict[str, Any]:
    """What guidance reads beside the schema: one space after commas and colons, unless the request says otherwise.

    A pattern of its own it may repeat without end (seen with llguidance 1.7), so none is given that nobody asked for.
    """
    if constraint.whitespace is None:
        return {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return {"whitespace_flexible": True, "whitespace_pattern": constraint.whitespace}
