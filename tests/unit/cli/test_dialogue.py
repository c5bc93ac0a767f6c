"""chat and generate."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

CHAT = {"id": "stoker", "model_type": "LLM", "model_ability": ["chat", "generate"]}
SILENT_SECONDS = 20.0  # a command on a busy machine says something in a fraction of this
PRESS_SECONDS = 0.5  # longer than a command takes to end
DONE = "data: [DONE]\n\n"


def event(finish: str | None = None, **delta: str) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def said(content: str) -> list[dict[str, Any]]:
    return [{"pieces": [event(role="assistant"), event(content=content), event("stop"), DONE]}]


@pytest.fixture
def stoker(server: Any) -> Any:
    server.play({"GET /v1/models/stoker": CHAT, "POST /v1/chat/completions": said("Hi there.")})
    return server


def test_chat_answers_a_prompt(stoker: Any, ask: Any) -> None:
    ended = ask("chat", "stoker", "hello", "there", "--system", "Be kind.", "--temperature", "0")
    assert ended == (0, "Hi there.\n", "")
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello there"}]
    body = stoker.asked("POST")[0]["json"]
    assert body == {"model": "stoker", "messages": messages, "max_tokens": 512, "stream": True, "temperature": 0.0}


def test_chat_reads_a_prompt_from_stdin(stoker: Any, ask: Any) -> None:
    assert ask("chat", "--model-uid", "stoker", "--max_tokens", "5", stdin="line one\nline two\n").out == "Hi there.\n"
    body = stoker.asked("POST")[0]["json"]
    assert body["messages"] == [{"role": "user", "content": "line one\nline two"}]
    assert body["max_tokens"] == 5


def test_chat_without_a_prompt_is_wrong_usage(stoker: Any, ask: Any) -> None:
    assert ask("chat", "stoker").status == 2


def test_reasoning_and_notes_go_to_stderr(server: Any, ask: Any) -> None:
    pieces = [event(reasoning_content="Whales are large."), event(content="Whale"), event("length"), DONE]
    server.play({"GET /v1/models/stoker": CHAT, "POST /v1/chat/completions": [{"pieces": pieces}]})
    ended = ask("chat", "stoker", "?", "--disable-thinking")
    assert ended.out == "Whale\n"
    assert "Whales are large." in ended.err
    assert "cut" in ended.err
    assert server.asked("POST")[0]["json"]["chat_template_kwargs"]["enable_thinking"] is False


def test_chat_can_answer_in_one_piece(server: Any, ask: Any) -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}]}
    server.play({"GET /v1/models/stoker": CHAT, "POST /v1/chat/completions": answer})
    assert ask("chat", "stoker", "hello", "--stream", "false").out == "Hi.\n"
    assert json.loads(ask("chat", "stoker", "hello", "--json").out) == answer
    assert [asked["json"]["stream"] for asked in server.asked("POST")] == [False, False]


def test_a_stream_as_json_is_a_line_an_event(stoker: Any, ask: Any) -> None:
    lines = ask("chat", "stoker", "hello", "--json", "--stream", "true").out.splitlines()
    assert [json.loads(line)["choices"][0]["delta"].get("content") for line in lines] == [None, "Hi there.", None]


def test_generate_continues_a_text(server: Any, ask: Any) -> None:
    pieces = ['data: {"choices": [{"index": 0, "text": " a time", "finish_reason": null}]}\n\n']
    server.play({"GET /v1/models/stoker": CHAT, "POST /v1/completions": [{"pieces": pieces}]})
    assert ask("generate", "stoker", "Once upon").out == " a time\n"
    assert server.asked("POST")[0]["json"]["prompt"] == "Once upon"


def test_a_model_that_cannot_chat_is_refused(server: Any, ask: Any) -> None:
    server.play({"GET /v1/models/stoker": {**CHAT, "model_ability": ["generate"]}})
    ended = ask("chat", "stoker", "hello")
    assert ended.status == 1
    assert "enginehouse generate stoker" in ended.err
    server.play({"GET /v1/models/stoker": {"model_type": "embedding"}})
    assert ask("generate", "stoker", "hello").status == 1


def test_an_error_within_an_answer_ends_with_1(server: Any, ask: Any) -> None:
    pieces = [event(content="Hal"), 'data: {"error": {"message": "the worker died"}}\n\n']
    server.play({"GET /v1/models/stoker": CHAT, "POST /v1/chat/completions": [{"pieces": pieces}]})
    ended = ask("chat", "stoker", "hello")
    assert (ended.status, ended.out) == (1, "Hal\n")
    assert ended.err == "Error: The worker died\n"


class Terminal:
    """A command on a terminal."""

    def __init__(self, *arguments: str) -> None:
        self.parent, child = pty.openpty()
        command = [sys.executable, "-m", "enginehouse.cli", *arguments]
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, start_new_session=True)
        os.close(child)
        self.seen = ""

    def read_until(self, text: str) -> None:
        """Reads on until the terminal shows `text`."""
        while text not in self.seen:
            readable, _, _ = select.select([self.parent], [], [], SILENT_SECONDS)
            assert readable, f"the terminal shows {self.seen!r} and never {text!r}"
            self.seen += os.read(self.parent, 4096).decode()
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.parent, text.encode())

    def interrupt_until_it_ends(self) -> None:
        """Like a user who presses again: readline misses a signal that comes just before it begins to wait."""
        for _ in range(round(SILENT_SECONDS / PRESS_SECONDS)):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PRESS_SECONDS)
                return

    def end(self) -> int:
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            os.close(self.parent)


@pytest.fixture
def conversation(stoker: Any) -> Iterator[Terminal]:
    terminal = Terminal("chat", "stoker", "-e", stoker.url)
    yield terminal
    terminal.process.kill()
    terminal.process.wait()


def test_a_conversation_remembers_its_turns(stoker: Any, conversation: Terminal) -> None:
    conversation.read_until("> ")
    conversation.type("one\n")
    conversation.read_until("Hi there.")
    conversation.read_until("> ")
    conversation.type("two\n")
    conversation.read_until("Hi there.")
    conversation.read_until("> ")
    conversation.type("\n")
    assert conversation.end() == 0
    turns = [(turn["role"], turn["content"]) for turn in stoker.asked("POST")[1]["json"]["messages"]]
    assert turns == [("user", "one"), ("assistant", "Hi there."), ("user", "two")]


def test_a_conversation_outlives_a_refusal(stoker: Any, conversation: Terminal) -> None:
    refusal = {"status": 400, "json": {"detail": "too long"}}
    stoker.play({"GET /v1/models/stoker": CHAT, "POST /v1/chat/completions": [refusal, *said("Fine.")]})
    conversation.read_until("> ")
    conversation.type("one\n")
    conversation.read_until("Error: too long")
    conversation.read_until("> ")
    conversation.type("two\n")
    conversation.read_until("Fine.")
    conversation.read_until("> ")
    conversation.type("\x04")
    assert conversation.end() == 0
    assert [turn["content"] for turn in stoker.asked("POST")[1]["json"]["messages"]] == ["two"]


def test_an_interrupt_ends_the_answer_and_not_the_conversation(stoker: Any, conversation: Terminal) -> None:
    endless = {"pieces": [event(content="And then")], "then": "hold"}
    stoker.play({"GET /v1/models/stoker": CHAT, "POST /v1/chat/completions": [endless]})
    conversation.read_until("> ")
    conversation.type("tell\n")
    conversation.read_until("And then")
    conversation.process.send_signal(signal.SIGINT)
    conversation.read_until("> ")
    assert stoker.wait_for(stoker.left) == ["POST /v1/chat/completions"]
    conversation.interrupt_until_it_ends()
    assert conversation.end() == 130
