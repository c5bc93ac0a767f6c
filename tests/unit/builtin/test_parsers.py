"""The built-in parsers find the same, wherever the text is cut."""

import random

import pytest

from enginehouse.builtin.hermes import HermesParser
from enginehouse.builtin.think import ThinkParser
from enginehouse.sdk import ReasoningPart, TextPart, ToolCallPart

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
ADD = ("call", "add", '{"a":1}')


def run(parser, slices) -> list[tuple]:
    """What came out, neighbouring texts joined."""
    parts = [part for text in slices for part in parser.feed(text)]
    parts += parser.finish()
    out: list[tuple] = []
    for part in parts:
        if isinstance(part, ToolCallPart):
            out.append(("call", part.name, part.arguments))
            continue
        assert part.text, "an empty part says nothing"
        kind = {TextPart: "text", ReasoningPart: "thought"}[type(part)]
        if out and out[-1][0] == kind:
            out[-1] = (kind, out[-1][1] + part.text)
        else:
            out.append((kind, part.text))
    return out


def cuts_of(text: str) -> list[list[str]]:
    """The text whole, letter by letter, in two at every place, and in random slices."""
    chance = random.Random(7)
    cuts = [[text], list(text)] + [[text[:at], text[at:]] for at in range(1, len(text))]
    for _ in range(30):
        places = sorted(chance.sample(range(len(text) + 1), min(5, len(text))))
        cuts.append([text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)])
    return cuts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, 1 < 2, <b>bold</b>", [("text", "plain text, 1 < 2, <b>bold</b>")]),
        ("ends with white space \n", [("text", "ends with white space \n")]),
        (CALL, [ADD]),
        ("Let me see. \n" + CALL + "\n", [("text", "Let me see."), ADD]),
        (CALL + "\n\nDone.", [ADD, ("text", "Done.")]),
        (CALL + "\n" + CALL, [ADD, ADD]),
        ("a\n" + CALL + " b \n\n" + CALL + "c  d", [("text", "a"), ADD, ("text", "b"), ADD, ("text", "c  d")]),
        ("<tool_call>{broken</tool_call>", [("text", "<tool_call>{broken</tool_call>")]),
        ("<tool_call>[1]</tool_call> x", [("text", "<tool_call>[1]</tool_call> x")]),
        ('<tool_call>{"name": 3}</tool_call>', [("text", '<tool_call>{"name": 3}</tool_call>')]),
        ("x <tool_call>{oops</tool_call>" + CALL, [("text", "x <tool_call>{oops</tool_call>"), ADD]),
        ('so <tool_call>{"name": "a", ', [("text", 'so <tool_call>{"name": "a", ')]),
        ("so <tool_ca", [("text", "so <tool_ca")]),
        ('<tool_call>{"name": "now"}</tool_call>', [("call", "now", "{}")]),
        ('<tool_call>{"name": "f", "arguments": "{\\"a\\": 2}"}</tool_call>', [("call", "f", '{"a": 2}')]),
        ('<tool_call>{"name": "é", "arguments": {"t": "<x>"}}</tool_call>', [("call", "é", '{"t":"<x>"}')]),
        ("", []),
    ],
)
def test_hermes_finds_calls_wherever_the_text_is_cut(text, expected) -> None:
    for slices in cuts_of(text):
        assert run(HermesParser(), slices) == expected, slices


def test_hermes_gives_text_as_soon_as_it_can() -> None:
    parser = HermesParser()
    assert list(parser.feed("Hello")) == [TextPart("Hello")]
    assert list(parser.feed(" world <")) == [TextPart(" world")]
    assert list(parser.feed("3")) == [TextPart(" <3")]


@pytest.mark.parametrize(
    ("prompt_end", "text", "expected"),
    [
        ("", "no thoughts", [("text", "no thoughts")]),
        ("", "<think>\nhm\nwell\n</think>\n\nyes\n", [("thought", "hm\nwell"), ("text", "yes\n")]),
        ("", " \n<think>hm</think>yes", [("thought", "hm"), ("text", "yes")]),
        ("", "<think>\n\n</think>\n\nyes", [("text", "yes")]),
        ("", "<think></think>yes", [("text", "yes")]),
        ("", "<thinking>is no tag", [("text", "<thinking>is no tag")]),
        ("", "later <think>x</think>", [("text", "later <think>x</think>")]),
        ("", "<think>never ends\n", [("thought", "never ends")]),
        ("", "<think>a < b </thin k></think>c", [("thought", "a < b </thin k>"), ("text", "c")]),
        ("", "<thi", [("text", "<thi")]),
        ("", "  ", [("text", "  ")]),
        ("", "", []),
        ("<|assistant|>\n<think>\n", "hm\n</think>\n\nyes", [("thought", "hm"), ("text", "yes")]),
        ("<think>", "\nhm</think>yes </think>", [("thought", "hm"), ("text", "yes </think>")]),
        ("<think>\n\n</think>\n\n", "yes", [("text", "yes")]),
    ],
)
def test_think_splits_wherever_the_text_is_cut(prompt_end, text, expected) -> None:
    for slices in cuts_of(text):
        assert run(ThinkParser(prompt_end), slices) == expected, slices


def test_think_gives_thoughts_as_soon_as_it_can() -> None:
    parser = ThinkParser("<think>")
    assert list(parser.feed("one")) == [ReasoningPart("one")]
    assert list(parser.feed(" two\n")) == [ReasoningPart(" two")]
    assert list(parser.feed("three")) == [ReasoningPart("\nthree")]
