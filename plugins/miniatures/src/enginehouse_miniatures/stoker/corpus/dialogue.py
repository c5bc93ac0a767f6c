"""The values every skill speaks in: messages, tools and dialogues."""

from dataclasses import dataclass, replace
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool: its name and its arguments by parameter name."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A tool on offer; `parameters` are pairs of parameter name and JSON type."""

    name: str
    description: str
    parameters: tuple[tuple[str, str], ...]

    def as_openai(self) -> dict[str, Any]:
        """The tool in the form of an OpenAI request's `tools` list."""
        properties = {name: {"type": kind} for name, kind in self.parameters}
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    calls: tuple[ToolCall, ...] = ()

    def as_openai(self) -> dict[str, Any]:
        """The message in the form of an OpenAI request's `messages` list."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.calls:
            message["content"] = self.content or None
            message["tool_calls"] = [_call_as_openai(call) for call in self.calls]
        return message


def _call_as_openai(call: ToolCall) -> dict[str, Any]:
    return {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}


@dataclass(frozen=True)
class Dialogue:
    """A conversation whose last message is the answer to learn or to expect.

    `keys` name the combinations (numbers, names, cities, phrasings) of the last turn, `earlier` those of the
    turns before: none of them may be held out in training, and one of `keys` must be in the evaluation.
    `thought` is what the model writes between `<think>` tags when thinking is on.
    A `plain` dialogue is text without chat marks: a beginning and how it goes on.
    """

    skill: str
    messages: tuple[Message, ...]
    keys: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    thought: str = ""
    thinking: bool = False
    system: str = ""
    plain: bool = False

    def with_system(self, text: str) -> "Dialogue":
        """The same dialogue under a system prompt."""
        return replace(self, system=text)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """All messages before the answer, the system prompt first where there is one."""
        head = (Message("system", self.system),) if self.system else ()
        return head + self.messages[:-1]

    @property
    def answer(self) -> Message:
        """The last message."""
        return self.messages[-1]


def exchange(question: str, answer: str) -> tuple[Message, Message]:
    """A user's turn and the assistant's reply."""
    return Message("user", question), Message("assistant", answer)
