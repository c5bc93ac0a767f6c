"""Conversations as prompts, by the model's own chat template."""

from __future__ import annotations

from collections.abc import Sequence as Rows
from typing import Any

from enginehouse.sdk import Message, Tool
from enginehouse.sdk.templates import (
    check_template_options,
    no_template,
    template_messages,
    template_refused,
    template_tools,
)

_OURS = {"conversation", "tools", "tokenize", "chat_template", "return_dict", "return_tensors", "padding", "truncation",
         "max_length", "return_assistant_tokens_mask", "tokenizer_kwargs"}  # fmt: skip


def render(
    tokenizer: Any, template: str | None, messages: Rows[Message], tools: Rows[Tool], options: dict[str, Any]
) -> str:
    """The prompt. Raises BadRequest when the template refuses, NotSupported for what it cannot express."""
    if template is None and not getattr(tokenizer, "chat_template", None):
        raise no_template()
    check_template_options(options, _OURS)
    turns = template_messages(messages)
    try:
        prompt: str = tokenizer.apply_chat_template(
            turns,
            tools=template_tools(tools),
            chat_template=template,
            tokenize=False,
            **{"add_generation_prompt": True, **options},
        )
    except Exception as error:  # a template is foreign code
        raise template_refused(error) from error
    return prompt
