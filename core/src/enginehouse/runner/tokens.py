"""Tokens of the hosted model, by the engine's own tokenizer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from typing import Any

from ..sdk import (
    BadRequest,
    ChatRequest,
    ConvertIdsRequest,
    DetokenizeAnswer,
    DetokenizeRequest,
    NotSupported,
    TokenizeAnswer,
    TokenizeRequest,
)
from .conversation import conversation_of, template_options_of, tools_of
from .hosting import Hosted


async def ask_tokenizer(hosted: Hosted, task: str, request: Any) -> Any:
    """The answer of an auxiliary task. Raises NotSupported where the engine has no such method."""
    if isinstance(request, TokenizeRequest):
        return await _tokenize(hosted, request)
    if isinstance(request, DetokenizeRequest):
        return DetokenizeAnswer(await _call(hosted, "detokenize", request.tokens))
    assert isinstance(request, ConvertIdsRequest)
    return await _convert(hosted, request.input)


async def _tokenize(hosted: Hosted, request: TokenizeRequest) -> TokenizeAnswer:
    tokens = await _ids_of(hosted, request)
    spelled = await _convert(hosted, tokens) if request.return_token_strs else None
    return TokenizeAnswer(len(tokens), hosted.context_length, tokens, spelled)


async def _ids_of(hosted: Hosted, request: TokenizeRequest) -> list[int]:
    if (request.prompt is None) == (request.messages is None):
        raise BadRequest("Give either `prompt` or `messages`, not both and not neither.", param="prompt")
    if request.prompt is not None:
        return await _tokens(hosted, request.prompt, spelled_out=request.add_special_tokens is False)
    prompt = await _chat_prompt(hosted, request)
    return prompt if isinstance(prompt, list) else await _tokens(hosted, prompt, spelled_out=True)


async def _chat_prompt(hosted: Hosted, request: TokenizeRequest) -> str | list[int]:
    """The prompt that a chat with these messages would have."""
    if not hasattr(hosted.engine, "chat_prompt"):
        raise _not_supported(hosted, "tokenize conversations")
    chat = ChatRequest(
        model=request.model,
        messages=request.messages or [],
        tools=request.tools,
        tool_choice=request.tool_choice,
        chat_template_kwargs=request.chat_template_kwargs,
        enable_thinking=request.enable_thinking,
    )
    abilities = hosted.order.abilities
    messages = conversation_of(chat.messages, abilities)
    options = template_options_of(chat, hosted.order.enable_thinking)
    return await hosted.chat_prompt(messages, tools_of(chat, abilities), options)


async def _tokens(hosted: Hosted, text: str, *, spelled_out: bool) -> list[int]:
    return list(await _call(hosted, "tokenize", text, spelled_out))


async def _convert(hosted: Hosted, ids: Sequence[int | list[int]]) -> list[Any]:
    lists = [each for each in ids if isinstance(each, list)]
    if not lists:
        return list(await _call(hosted, "convert_ids_to_tokens", ids))
    if len(lists) != len(ids):
        raise BadRequest("`input` mixes ids and lists of ids; give one or the other.", param="input")
    return [await _call(hosted, "convert_ids_to_tokens", each) for each in lists]


async def _call(hosted: Hosted, name: str, *arguments: Any) -> Any:
    """On a thread: a long text takes a tokenizer seconds, during which no token of others may wait."""
    method = getattr(hosted.engine, name, None)
    if method is None:
        raise _not_supported(hosted, name)
    made = await asyncio.to_thread(method, *arguments)
    return await made if inspect.isawaitable(made) else made


def _not_supported(hosted: Hosted, what: str) -> NotSupported:
    return NotSupported(
        f"Model {hosted.model_uid!r} cannot {what}: its engine does not offer it. Use another engine.", param="model"
    )
