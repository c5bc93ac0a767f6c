"""Tokens of a model on the wire. tokenize and detokenize have the shapes of vLLM's server, convert_ids_to_tokens
those of Xinference's."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .chat import Message, Tool

TokenId = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class TokenizeRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/tokenize`: either `prompt`, or `messages` with what else goes into their prompt.

    add_special_tokens: of a prompt, as the model itself would begin it; a conversation's prompt spells them out.
    return_token_strs: also gives each token as the vocabulary spells it.
    """

    model: str
    prompt: str | None = None
    messages: list[Message] | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    chat_template_kwargs: dict[str, Any] | str | None = None
    enable_thinking: bool | None = None
    request_id: str | None = None


class TokenizeAnswer(msgspec.Struct):
    """max_model_len: tokens of context, None where there is no limit."""

    count: int
    max_model_len: int | None
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/detokenize`."""

    model: str
    tokens: list[TokenId]
    request_id: str | None = None


class DetokenizeAnswer(msgspec.Struct):
    prompt: str


class ConvertIdsRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/convert_ids_to_tokens`; the answer is a list, of lists for a list of lists."""

    model: str
    input: list[TokenId | list[TokenId]]
    request_id: str | None = None
