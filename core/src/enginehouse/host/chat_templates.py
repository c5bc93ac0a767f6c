"""What a chat template's own text tells about a model. Pure: the template is looked at, never run."""

from __future__ import annotations

import re

from .template_parsers import code_of, thinking_of

_TOOLS = re.compile(r"\b(?:tools|tool_calls|builtin_tools|custom_tools)\b")
_SWITCH = re.compile(r"\b(?:enable_thinking|thinking)\b")
_REASONING = re.compile(r"\b(?:reasoning_content|reasoning_effort)\b")
_PICTURES = re.compile(r"""['"](?:image|image_url|video)['"]""")
_SOUND = re.compile(r"""['"](?:audio|input_audio|audio_url)['"]""")


def abilities_of(template: str) -> tuple[str, ...]:
    """Abilities that a conversation in this template may use, "chat" first."""
    code = code_of(template)
    found = {
        "tools": _TOOLS.search(code),
        "vision": _PICTURES.search(code),
        "audio": _SOUND.search(code),
        "reasoning": thinking_of(template) or _REASONING.search(code),
        "hybrid": _SWITCH.search(code),
    }
    return ("chat", *(word for word, sign in found.items() if sign))
