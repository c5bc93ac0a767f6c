"""What a chat template's own text tells about a model. Pure: the template is looked at, never run."""

from __future__ import annotations

import re

from ..sdk import BadRequest
from .template_parsers import code_of, thinking_of

_TOOLS = re.compile(r"\b(?:tools|tool_calls|builtin_tools|custom_tools)\b")
_SWITCH = re.compile(r"\b(?:enable_thinking|thinking)\b")
_REASONING = re.compile(r"\b(?:reasoning_content|reasoning_effort)\b")
_PICTURES = re.compile(r"""['"](?:image|image_url|video)['"]""")
_TRAINING = re.compile(r"\{%[-+]?\s*(?:end)?generation\s*[-+]?%\}")  # a mark for training, which engines pass over
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


def check_template(template: str | None, place: object) -> None:
    """Raises BadRequest where no engine could read it. place: what holds it, for the error."""
    if template and (problem := problem_of(template)):
        raise BadRequest(
            f"The chat template in {place} {problem}. Mend it there, or register the model with another chat_template.",
            param="model_path",
        )


def problem_of(template: str) -> str | None:
    """Why no engine could read it, as the end of a sentence."""
    import jinja2  # noqa: PLC0415 - a server whose models bring no template of their own does without

    parser = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])
    try:
        parser.parse(_TRAINING.sub("", template))
    except jinja2.TemplateSyntaxError as error:
        return f"cannot be read: line {error.lineno}: {error.message}"
    except (ValueError, RecursionError) as error:  # numbers without end, and brackets
        return f"cannot be read: {error}"
    return None
