"""Answers of a loaded engine: sampling, constraints, leaving early, many at once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from enginehouse.sdk import BadRequest, GenerateRequest, NotSupported, Sampling
from enginehouse.sdk.constraints import Constraint
from enginehouse_llamacpp.engine import LlamaCppEngine

PROMPT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
WHALE = PROMPT.format("What is the largest animal?")
COUNT = PROMPT.format("Count from 1 to 20.")
Ask = Callable[..., Any]


async def test_a_seed_gives_the_same_again(engine: LlamaCppEngine, ask: Ask) -> None:
    async def draw(seed: int) -> str:
        text: str = (await ask(engine, WHALE, temperature=1.9, seed=seed, max_tokens=30)).text
        return text

    assert await draw(7) == await draw(7) and await draw(-7) == await draw(-7)
    assert len({await draw(seed) for seed in range(8)}) > 1


async def test_no_seed_draws_one(engine: LlamaCppEngine, ask: Ask) -> None:
    answers = [(await ask(engine, WHALE, temperature=2.0, max_tokens=30)).text for _ in range(8)]
    assert len(set(answers)) > 1


async def test_the_temperature_is_applied_before_top_p(engine: LlamaCppEngine, ask: Ask) -> None:
    """At temperature 2 a token of 99.9% has so much less that top_p cuts among many; not so the other way round."""
    answers = {(await ask(engine, WHALE, temperature=2.0, top_p=0.999, seed=s, max_tokens=12)).text for s in range(12)}
    assert len(answers) > 2


async def test_penalties_change_the_answer(engine: LlamaCppEngine, ask: Ask) -> None:
    digits = Constraint(kind="regex", text="[0-9]{40}")  # none of which the model is sure of
    plain = (await ask(engine, COUNT, constraint=digits)).text
    for penalty in ({"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"repetition_penalty": 5.0}):
        assert (await ask(engine, COUNT, constraint=digits, **penalty)).text != plain


async def test_thirty_two_at_once_say_what_one_says(engine: LlamaCppEngine, ask: Ask) -> None:
    questions = [PROMPT.format(f"What is {a} plus {b}?") for a in range(1, 9) for b in (3, 14, 25, 36)]
    alone = [(await ask(engine, question)).text for question in questions[:4]]
    together = await asyncio.gather(*(ask(engine, question) for question in questions))
    assert [answer.text for answer in together[:4]] == alone
    assert all(answer.finish_reason == "stop" for answer in together)


async def test_who_leaves_frees_the_slot(engine: LlamaCppEngine, ask: Ask) -> None:
    """More callers than slots, each with a long answer, leave after their first piece; then another is served."""
    request = GenerateRequest(request_id="r", prompt="a", sampling=Sampling(temperature=0, ignore_eos=True))

    async def leave() -> None:
        pieces = engine.generate(request)
        await anext(pieces)
        await pieces.aclose()

    async with asyncio.timeout(60):
        await asyncio.gather(*(leave() for _ in range(24)))
    assert "blue whale" in (await ask(engine, WHALE)).text


async def test_who_leaves_while_waiting_is_forgotten(engine: LlamaCppEngine, ask: Ask) -> None:
    asking = [asyncio.create_task(ask(engine, "a", ignore_eos=True)) for _ in range(24)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert "blue whale" in (await ask(engine, WHALE)).text


async def test_characters_are_never_cut(engine: LlamaCppEngine, ask: Ask) -> None:
    answer = await ask(engine, "é你🎉" * 5, max_tokens=60, ignore_eos=True)
    assert answer.tokens == 60
    for piece in answer.pieces:
        piece.text.encode()


@pytest.mark.parametrize(
    ("kind", "text", "matches"),
    [
        ("regex", r"[a-c]{2,3}/(x|y)[0-9]{2}", r"[a-c]{2,3}/(x|y)[0-9]{2}"),
        ("regex", r"yes\/no", "yes/no"),
        ("choice", '["blue", "re\\"d", "gre/en\\n"]', r'blue|re"d|gre/en\n'),
        ("grammar", 'root ::= "hi " [0-9] [0-9]', r"hi \d\d"),
        ("grammar", 'start: "hi " /[0-9]{2}/', r"hi \d\d"),
        ("grammar", '%llguidance {}\nstart: "hi " /[0-9]{2}/', r"hi \d\d"),
        ("json_schema", '{"enum": ["a", 1, null]}', '"a"|1|null'),
        ("json_schema", '{"type": "integer", "minimum": 10, "maximum": 99}', r"\d\d"),
    ],
)
async def test_a_constraint_is_kept(engine: LlamaCppEngine, ask: Ask, kind: Any, text: str, matches: str) -> None:
    answer = await ask(engine, WHALE, constraint=Constraint(kind=kind, text=text), max_tokens=60)
    assert re.fullmatch(matches, answer.text), answer.text
    assert answer.finish_reason == "stop"


async def test_json_by_a_schema(engine: LlamaCppEngine, ask: Ask) -> None:
    schema = {
        "type": "object",
        "properties": {"b": {"type": "integer", "maximum": 9, "minimum": 0}, "a": {"enum": ["x", "y"]}},
        "required": ["b", "a"],
        "additionalProperties": False,
    }
    constraint = Constraint(kind="json_schema", text=json.dumps(schema, indent=2))
    answer = await ask(engine, WHALE, constraint=constraint)
    assert re.fullmatch(r'\{"b": \d, "a": "[xy]"\}', answer.text), answer.text


async def test_whitespace_as_asked(engine: LlamaCppEngine, ask: Ask) -> None:
    constraint = Constraint(kind="json_schema", text='{"const": [1, 2]}', whitespace="  ")
    answer = await ask(engine, WHALE, constraint=constraint, max_tokens=20)
    assert json.loads(answer.text) == [1, 2] and "  " in answer.text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("regex", "("),
        ("json_schema", '{"type": "foo"}'),
        ("grammar", "root ::= ("),
        ("grammar", "start: nothing"),
    ],
)
async def test_a_constraint_that_cannot_be_read_is_refused(
    engine: LlamaCppEngine, ask: Ask, kind: Any, text: str
) -> None:
    with pytest.raises(BadRequest):
        await ask(engine, WHALE, constraint=Constraint(kind=kind, text=text), max_tokens=5)


async def test_stop_token_ids_end_an_answer(engine: LlamaCppEngine, ask: Ask) -> None:
    whole = await ask(engine, WHALE, logprobs=0)
    third = whole.logprobs[2]
    cut = await ask(engine, WHALE, stop_token_ids=(third.token_id,))
    assert cut.text == whole.text[: whole.text.index(third.text)]
    assert (cut.tokens, cut.finish_reason, cut.logprobs) == (3, "stop", [])


async def test_the_context_is_what_was_asked_for(stoker: Any, start: Any, ask: Ask) -> None:
    small = await start(stoker, n_ctx=100, n_parallel=2)
    assert small.context_length == 100
    answer = await ask(small, "a", ignore_eos=True)
    assert answer.tokens + answer.pieces[0].prompt_tokens == 100 and answer.finish_reason == "length"


@pytest.mark.parametrize(
    "options",
    [
        {"cache_type_k": "q8_0", "cache_type_v": "q8_0", "flash_attn": "on"},
        {"cache_type_k": "f32", "cache_type_v": "f32", "flash_attn": "off"},
        {"use_mmap": False, "n_threads": 2, "n_batch": 64, "n_ubatch": 32},
        {"n_parallel": 1},
    ],
    ids=str,
)
async def test_options_are_taken(stoker: Any, start: Any, ask: Ask, options: dict[str, Any]) -> None:
    assert "blue whale" in (await ask(await start(stoker, **options), WHALE)).text


@pytest.mark.parametrize("options", [{"cache_ram_mib": 8}, {"extra": {"n_keep": 4}}], ids=str)
async def test_options_of_one_binding_are_refused_by_the_other(
    stoker: Any, start: Any, ask: Ask, binding: str, options: dict[str, Any]
) -> None:
    if binding == "xllamacpp":
        assert "blue whale" in (await ask(await start(stoker, **options), WHALE)).text
        return
    with pytest.raises(NotSupported, match="binding=xllamacpp"):
        await start(stoker, **options)


@pytest.mark.parametrize("extra", [{"n_kep": 4}, {"n_keep": "four"}, {"__class__": 1}], ids=str)
async def test_extra_parameters_that_there_are_not_are_refused(
    stoker: Any, start: Any, binding: str, extra: dict[str, Any]
) -> None:
    refused = {"xllamacpp": (BadRequest, "parameter"), "llama_cpp": (NotSupported, "extra")}
    kind, word = refused[binding]
    with pytest.raises(kind, match=word):
        await start(stoker, extra=extra)
