"""Conversations through the model's chat template."""

from __future__ import annotations

from typing import Any

import pytest

from enginehouse.sdk import BadRequest, Message, NotSupported, Tool
from enginehouse.sdk.chat import Function, FunctionCall, ToolCall
from enginehouse_transformers.prompts import render

HELLO = (Message(role="user", content="hello"),)


def test_messages_become_the_templates_prompt(llama: Any) -> None:
    assert llama.chat_prompt(HELLO, (), {}) == "<user>hello<assistant>"
    assert llama.chat_prompt(HELLO, (), {"loud": True}) == "<user>hello<assistant>!"


def test_parts_roles_and_tool_calls_are_put_as_templates_expect(llama: Any) -> None:
    call = ToolCall(id="1", function=FunctionCall(name="weather", arguments='{"city": "Oslo"}'))
    messages = (
        Message(role="developer", content=[{"type": "text", "text": "be "}, {"type": "text", "text": "kind"}]),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", content="rain", tool_call_id="1"),
    )
    tools = (Tool(function=Function(name="weather")),)
    prompt = llama.chat_prompt(messages, tools, {})
    assert prompt == "[weather]<system>be kind<assistant>(Oslo)<tool>rain<assistant>"


def test_the_familys_template_replaces_the_tokenizers(tokenizer: Any) -> None:
    assert render(tokenizer, "{{ messages[0].content }}?", HELLO, (), {}) == "hello?"


def test_a_template_that_refuses_is_a_bad_request(llama: Any) -> None:
    with pytest.raises(BadRequest, match="too many turns"):
        llama.chat_prompt(HELLO * 5, (), {})


def test_what_cannot_be_expressed_is_refused(llama: Any, tokenizer: Any) -> None:
    image = Message(role="user", content=[{"type": "image_url", "image_url": {"url": "x"}}])
    with pytest.raises(NotSupported, match="image_url"):
        llama.chat_prompt((image,), (), {})
    with pytest.raises(BadRequest, match="tokenize"):
        llama.chat_prompt(HELLO, (), {"tokenize": True})
    bare = type(tokenizer)(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(NotSupported, match="no chat template"):
        render(bare, None, HELLO, (), {})
