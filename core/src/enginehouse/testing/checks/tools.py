"""Tool calls and reasoning, on models that have them; refusals on those that have not."""

from __future__ import annotations

import json
from typing import Any

from .chat import HELLO, WEATHER, chats
from .check import Unclear, check
from .speaking import Said
from .stage import Facts, Stage, able

QUESTIONS = (
    "What is the weather in Paris?",
    "How is the weather in Rome today?",
    "Please look up the weather of Berlin.",
    "Weather in Oslo?",
)
THINKERS = ("What is 12 plus 30?", "What is the largest animal?", "Hello!")
LONG = 200  # tokens: enough for a call, or for thoughts and an answer
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>")


def _uses_tools(facts: Facts) -> bool:
    return chats(facts) and "tools" in facts.abilities


def _has_no_tools(facts: Facts) -> bool:
    return chats(facts) and "tools" not in facts.abilities


def _forces(facts: Facts) -> bool:
    return _uses_tools(facts) and "json_schema" in facts.constraints


def _thinks(facts: Facts) -> bool:
    return chats(facts) and "reasoning" in facts.abilities


_hybrid = able("chat", "reasoning", "hybrid")


def _calls(said: Said) -> list[dict[str, Any]]:
    return list(said.choice["message"].get("tool_calls") or ())


def _first_call(stage: Stage) -> tuple[str, Said]:
    """A question that the model answers with a call, and that answer."""
    for question in QUESTIONS:
        said = stage.worker.chat(question, tools=[WEATHER], max_tokens=LONG).ok()
        if _calls(said):
            return question, said
    raise Unclear("this model calls no tool for any of the corpus' questions")


@check("silver", "Tools are refused with not_supported by a model that knows none.", _has_no_tools)
def tools_are_refused(stage: Stage) -> None:
    stage.worker.chat(HELLO, tools=[WEATHER]).refused(code="not_supported", param="tools")


@check("bronze", "Every question of the corpus gets an answer when tools are offered.", _uses_tools)
def corpus_is_answered(stage: Stage) -> None:
    for question in QUESTIONS:
        said = stage.worker.chat(question, tools=[WEATHER], max_tokens=LONG).ok()
        said.must(_calls(said) or said.content, "content or a call")


@check("silver", "A call has an id, the tool's name, and arguments that are a JSON object as text.", _uses_tools)
def calls_are_whole(stage: Stage) -> None:
    _, said = _first_call(stage)
    for call in _calls(said):
        said.must(call["id"] and call["type"] == "function", "an id, and type function")
        said.must(call["function"]["name"] == "get_weather", "the name get_weather")
        said.must(isinstance(json.loads(call["function"]["arguments"]), dict), "arguments as an object")
    said.must(said.choice["finish_reason"] == "tool_calls", "finish_reason tool_calls")
    said.must(not any(tag in said.content for tag in TAGS), "no tags in the content")


@check("silver", "A streamed call is the same as one in one piece.", _uses_tools)
def calls_are_streamed(stage: Stage) -> None:
    question, whole = _first_call(stage)
    wanted = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in _calls(whole)]
    said = stage.worker.chat(question, tools=[WEATHER], max_tokens=LONG, stream=True).ok()
    said.must(_joined(said) == wanted, f"the calls {wanted}")


def _joined(said: Said) -> list[tuple[str, Any]]:
    """The calls of a stream: names as they come first, arguments put together by index."""
    names: dict[int, str] = {}
    texts: dict[int, str] = {}
    for piece in said.pieces():
        for call in piece["delta"].get("tool_calls") or ():
            function = call.get("function") or {}
            names.setdefault(call["index"], function.get("name") or "")
            texts[call["index"]] = texts.get(call["index"], "") + (function.get("arguments") or "")
    return [(names[index], json.loads(texts[index] or "{}")) for index in sorted(names)]


@check("silver", 'tool_choice "none" gives no call.', _uses_tools)
def none_means_none(stage: Stage) -> None:
    said = stage.worker.chat(QUESTIONS[0], tools=[WEATHER], tool_choice="none", max_tokens=LONG).ok()
    said.must(not _calls(said), "no tool_calls")


@check("silver", "A tool that is named is called, with arguments that its schema allows.", _forces)
def named_tools_are_called(stage: Stage) -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    for question in (QUESTIONS[0], HELLO):
        said = stage.worker.chat(question, tools=[WEATHER], tool_choice=choice, max_tokens=LONG).ok()
        if said.choice["finish_reason"] == "length":
            raise Unclear("the model did not come to the end of its arguments")
        said.must(len(_calls(said)) == 1, "one call")
        arguments = json.loads(_calls(said)[0]["function"]["arguments"])
        said.must(isinstance(arguments.get("city"), str), "arguments with a city")


@check("silver", 'tool_choice "required" gives a call.', _forces)
def required_means_one(stage: Stage) -> None:
    said = stage.worker.chat(HELLO, tools=[WEATHER], tool_choice="required", max_tokens=LONG).ok()
    if said.choice["finish_reason"] == "length":
        raise Unclear("the model did not come to the end of its arguments")
    said.must(_calls(said), "a call")


@check("silver", "A tool's answer is read as a turn of the conversation.", _uses_tools)
def answers_of_tools_are_read(stage: Stage) -> None:
    question, said = _first_call(stage)
    call = _calls(said)[0]
    turns = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees, sunny"},
    ]
    answer = stage.worker.chat(turns, tools=[WEATHER], max_tokens=LONG).ok()
    answer.must(answer.usage["prompt_tokens"] > said.usage["prompt_tokens"], "a prompt that holds the tool's answer")


@check("silver", "Thoughts are told apart from the answer, and no tag is left in either.", _thinks)
def thoughts_are_apart(stage: Stage) -> None:
    found = []
    for question in THINKERS:
        said = stage.worker.chat(question, enable_thinking=True, max_tokens=LONG).ok()
        thoughts = said.choice["message"].get("reasoning_content") or ""
        said.must(not any(tag in said.content + thoughts for tag in TAGS), "no tags")
        found.append(thoughts)
    if not any(found):
        raise Unclear("this model thought about none of the corpus' questions")


@check("silver", "Streamed thoughts are those of the answer in one piece.", _thinks)
def thoughts_are_streamed(stage: Stage) -> None:
    whole = stage.worker.chat(THINKERS[0], enable_thinking=True, max_tokens=LONG).ok()
    said = stage.worker.chat(THINKERS[0], enable_thinking=True, max_tokens=LONG, stream=True).ok()
    told = "".join(piece["delta"].get("reasoning_content") or "" for piece in said.pieces())
    wanted = whole.choice["message"].get("reasoning_content") or ""
    said.must((told, said.streamed()) == (wanted, whole.content), f"the thoughts {wanted!r}, then {whole.content!r}")


@check("silver", "A model that can do without thinks nothing when told so.", _hybrid)
def thinking_can_be_turned_off(stage: Stage) -> None:
    said = stage.worker.chat(THINKERS[0], enable_thinking=False, max_tokens=LONG).ok()
    said.must(not said.choice["message"].get("reasoning_content"), "no reasoning_content")
