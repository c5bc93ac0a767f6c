"""What a chat template's own text tells about a model. Pure: the template is looked at, never run."""

from __future__ import annotations

import re

THINK = ("<think>", "</think>")

_CODE = re.compile(r"\{[{%](.*?)[%}]\}", re.S)
_TOOLS = re.compile(r"\b(?:tools|tool_calls|builtin_tools|custom_tools)\b")
_SWITCH = re.compile(r"\b(?:enable_thinking|thinking)\b")
_REASONING = re.compile(r"\b(?:reasoning_content|reasoning_effort)\b")
_PICTURES = re.compile(r"""['"](?:image|image_url|video)['"]""")
_SOUND = re.compile(r"""['"](?:audio|input_audio|audio_url)['"]""")


def abilities_of(template: str) -> tuple[str, ...]:
    """Abilities that a conversation in this template may use, "chat" first."""
    code = "\n".join(_CODE.findall(template))
    thinks = THINK[0] in template or THINK[1] in template
    found = {
        "tools": _TOOLS.search(code),
        "vision": _PICTURES.search(code),
        "audio": _SOUND.search(code),
        "reasoning": thinks or _REASONING.search(code),
        "hybrid": _SWITCH.search(code),
    }
    return ("chat", *(word for word, sign in found.items() if sign))


def tool_parser_of(template: str) -> str | None:
    """The parser for tool calls as the template shows them, where it is one that is known by its tags."""
    by_tags = "<tool_call>" in template and "<function=" not in template and "<arg_key>" not in template
    return "hermes" if by_tags and "arguments" in template else None


def thinking_tags_of(template: str) -> tuple[str, str] | None:
    """The tags around a thought; None when the template shows none."""
    return THINK if any(tag in template for tag in THINK) else None
