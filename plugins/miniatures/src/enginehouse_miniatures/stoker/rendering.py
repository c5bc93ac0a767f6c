"""Dialogues as text, exactly as the shipped chat template writes them, cut where training begins and ends."""

import json
from dataclasses import dataclass
from pathlib import Path

from .corpus.dialogue import Dialogue, Message, Tool, ToolCall

START, END, TEXT_END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
THINK = "Think before you answer."
TEMPLATE = Path(__file__).with_name("chat_template.jinja")


@dataclass(frozen=True)
class Segment:
    """A piece of text; `learned` says whether the model shall learn to write it."""

    text: str
    learned: bool


def tool_line(tool: Tool) -> str:
    """One tool of the list in the system turn, as compact JSON."""
    schema = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return json.dumps(schema, ensure_ascii=False)


def call_text(call: ToolCall) -> str:
    """A tool call as the model writes it."""
    body = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def answer_text(message: Message) -> str:
    """What the model writes for one of its turns, without thinking."""
    parts = [message.content] if message.content else []
    return "\n".join([*parts, *map(call_text, message.calls)])


def _system_text(dialogue: Dialogue) -> str:
    parts = [dialogue.system] if dialogue.system else []
    if dialogue.tools:
        parts += ["<tools>", *map(tool_line, dialogue.tools), "</tools>"]
    return "\n".join([*parts, *([THINK] if dialogue.thinking else [])])


def _turn(role: str, text: str) -> str:
    return f"{START}{role}\n{text}{END}\n"


def _asked(message: Message) -> str:
    if message.role == "tool":
        return _turn("user", f"<tool_response>\n{message.content}\n</tool_response>")
    return _turn(message.role, message.content)


def expected(dialogue: Dialogue) -> str:
    """What the model has to write for the last turn."""
    text = answer_text(dialogue.answer)
    return f"<think>\n{dialogue.thought}\n</think>\n\n{text}" if dialogue.thinking else text


def prompt_text(dialogue: Dialogue) -> str:
    """Everything before the last turn's answer, the start of the assistant's turn included."""
    return "".join(segment.text for segment in segments(dialogue)[:-1])


def segments(dialogue: Dialogue) -> list[Segment]:
    """The whole dialogue; with thinking on only the last answer is learned, since earlier thoughts are not shown."""
    if dialogue.plain:
        return [*map(_plain, dialogue.messages[:-1]), Segment(dialogue.answer.content + TEXT_END, True)]
    system = _system_text(dialogue)
    pieces = [Segment(_turn("system", system), False)] if system else []
    for message in dialogue.messages[:-1]:
        pieces += (
            _learned(answer_text(message), not dialogue.thinking)
            if message.role == "assistant"
            else [Segment(_asked(message), False)]
        )
    return [*pieces, Segment(f"{START}assistant\n", False), Segment(expected(dialogue) + END, True)]


def _plain(message: Message) -> Segment:
    return Segment(message.content, message.role == "assistant")


def _learned(text: str, learned: bool) -> list[Segment]:
    return [Segment(f"{START}assistant\n", False), Segment(text + END, learned), Segment("\n", False)]
