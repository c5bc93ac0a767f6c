"""Answers that must match something do, whatever the model would rather say."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from enginehouse.sdk import BadRequest, Constraint, GenerateRequest, NotSupported, Sampling
from enginehouse_transformers.guides import KEPT, forbidden

SPEC = importlib.util.find_spec("enginehouse_miniatures")
FOLDER = Path(SPEC.origin).parent / "models" / "stoker" if SPEC and SPEC.origin else Path("absent")
SECONDS = 180.0  # of one answer, on a machine that is busy with others

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
        "home": {"$ref": "#/$defs/place"},
    },
    "required": ["name", "age", "tags", "home"],
    "additionalProperties": False,
    "$defs": {"place": {"type": ["object", "null"], "properties": {"x": {"const": 1}}, "additionalProperties": False}},
}
SCHEMAS = [
    PERSON,
    {"type": "boolean"},
    {"enum": ["red", 5, None, 'gré"en\\\n']},
    {"type": "integer", "minimum": -20, "maximum": 20},
    {"type": "string", "pattern": "^[a-f]{2,6}$"},
    {"type": "string", "format": "date"},
    {"anyOf": [{"type": "integer", "maximum": 9, "minimum": 0}, {"type": "null"}]},
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "null"}], "items": False, "minItems": 2},
    {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, "maxItems": 2},
]
REGEXES = [
    r"[0-9]{3}-[0-9]{4}",
    r"(yes|no|maybe)",
    r"[A-Z][a-z]{1,5}( [A-Z][a-z]{1,5}){0,2}\.",
    r"(é|😀){2,4}",
    r"^a/b\"c$",
]
CHOICES = [["positive", "negative"], ["a", "ab", "abc"], ["x y", 'say "hi"', "back\\slash", "new\nline", "/é😀/"]]
GRAMMARS = [
    ('start: greeting " " name\ngreeting: "Hello" | "Bye"\nname: /[A-Z][a-z]{1,4}/', r"(Hello|Bye) [A-Z][a-z]{1,4}"),
    ('start: sum\nsum: NUMBER ("+" NUMBER){1,3}\nNUMBER: /[1-9][0-9]?/', r"[1-9][0-9]?(\+[1-9][0-9]?){1,3}"),
    ('root ::= verb " " ("north" | "south")\nverb ::= "go" | "look"\n', r"(go|look) (north|south)"),
]


def schema(value: Any, **more: Any) -> Constraint:
    return Constraint(kind="json_schema", text=json.dumps(value), param="guided_json", **more)


def plain(kind: str, text: str) -> Constraint:
    return Constraint(kind=kind, text=text, param=f"guided_{kind}")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def stoker(start: Any) -> Any:
    return start(FOLDER, max_batch=8)


async def answer(engine: Any, constraint: Constraint | None, prompt: str = "Say it: ", **sampling: Any) -> Any:
    """Text, finish reason and pieces of one answer."""
    sampling = {"max_tokens": 200, "temperature": 0, **sampling}
    request = GenerateRequest(request_id="r", prompt=prompt, sampling=Sampling(**sampling), constraint=constraint)
    async with asyncio.timeout(SECONDS):
        pieces = [piece async for piece in engine.generate(request)]
    return "".join(piece.text for piece in pieces), pieces[-1].finish_reason, pieces


async def answers(engine: Any, constraint: Constraint) -> list[str]:
    """Greedy, warm and hot, beside an answer that is free; all of them whole."""
    wishes = [
        {},
        *({"temperature": 1.5, "seed": seed} for seed in range(3)),
        {"temperature": 1, "top_p": 0.9, "seed": 1},
    ]
    free, *made = await asyncio.gather(
        answer(engine, None, max_tokens=20), *(answer(engine, constraint, **wish) for wish in wishes)
    )
    assert [reason for _, reason, _ in made] == ["stop"] * len(wishes), [text for text, _, _ in made]
    assert free[0] == (await answer(engine, None, max_tokens=20))[0]
    return [text for text, _, _ in made]


@pytest.mark.parametrize("at", range(len(SCHEMAS)))
async def test_json_schemas(stoker: Any, at: int) -> None:
    validator = jsonschema.validators.validator_for(SCHEMAS[at])(SCHEMAS[at])
    for text in await answers(stoker, schema(SCHEMAS[at])):
        assert not list(validator.iter_errors(json.loads(text))), text


@pytest.mark.parametrize("regex", REGEXES)
async def test_regexes(stoker: Any, regex: str) -> None:
    for text in await answers(stoker, plain("regex", regex)):
        assert re.fullmatch(regex, text), text


@pytest.mark.parametrize("choices", CHOICES)
async def test_choices(stoker: Any, choices: list[str]) -> None:
    for text in await answers(stoker, plain("choice", json.dumps(choices))):
        assert text in choices


@pytest.mark.parametrize(("grammar", "regex"), GRAMMARS)
async def test_grammars(stoker: Any, grammar: str, regex: str) -> None:
    for text in await answers(stoker, plain("grammar", grammar)):
        assert re.fullmatch(regex, text), text


@pytest.mark.parametrize("value", [{"type": "object"}, True, {}])
async def test_any_json_is_json_or_the_beginning_of_it(stoker: Any, value: Any) -> None:
    for seed in range(4):
        text, reason, _ = await answer(stoker, schema(value), temperature=1.3, seed=seed, max_tokens=60)
        assert reason in ("stop", "length")
        if reason == "stop":
            assert value != {"type": "object"} or isinstance(json.loads(text), dict)
            json.loads(text)


async def test_an_answer_that_is_cut_is_the_beginning_of_one_that_matches(stoker: Any) -> None:
    whole, _, _ = await answer(stoker, schema(PERSON))
    text, reason, pieces = await answer(stoker, schema(PERSON), max_tokens=9)
    assert reason == "length" and whole.startswith(text) and sum(piece.tokens for piece in pieces) == 9


async def test_whitespace_is_as_asked_for(stoker: Any) -> None:
    wanted = {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}
    for pattern, form in (("", r"\[\w+,\w+\]"), ("  ", r"\[(  )?\w+(  )?,(  )?\w+(  )?\]")):
        text, _, _ = await answer(stoker, schema(wanted, whitespace=pattern))
        assert re.fullmatch(form, text), text


async def test_streamed_pieces_logprobs_and_usage_agree(stoker: Any) -> None:
    text, _, pieces = await answer(stoker, schema(PERSON), logprobs=2)
    found = [each for piece in pieces for each in piece.logprobs]
    assert len(found) == sum(piece.tokens for piece in pieces)
    assert "".join(each.text for each in found[:-1]) == text
    assert all(each.logprob <= 0 and len(each.top) == 2 for each in found)


async def test_seeds_repeat_whoever_else_is_in_the_batch(stoker: Any) -> None:
    wish = {"temperature": 1.2, "seed": 5}
    alone, _, _ = await answer(stoker, schema(PERSON), **wish)
    others = [answer(stoker, plain("regex", "[a-z]{20}"), temperature=1.0, seed=seed) for seed in range(3)]
    made, *_ = await asyncio.gather(answer(stoker, schema(PERSON), **wish), *others, answer(stoker, None))
    assert made[0] == alone


async def test_bias_and_penalties_do_not_break_what_must_match(stoker: Any) -> None:
    bias = dict.fromkeys(range(3, 40), 50.0)
    wish = {"logit_bias": bias, "repetition_penalty": 1.5, "presence_penalty": 2.0, "top_k": 3, "temperature": 1.0}
    text, _, _ = await answer(stoker, plain("choice", '["one","two"]'), seed=3, **wish)
    assert text in ("one", "two")


@pytest.mark.parametrize(
    ("constraint", "word"),
    [
        (schema({"type": "objec"}), "objec"),
        (schema({"type": "array", "uniqueItems": True}), "uniqueItems"),
        (schema({"type": "string", "format": "weird"}), "weird"),
        (schema({"$ref": "#/nowhere"}), "nowhere"),
        (schema({"x-guidance": {"lenient": True}, "type": "array", "uniqueItems": True}), "uniqueItems"),
        (schema(False), "guided_json"),
        (schema({}, whitespace="["), "unclosed"),
        (plain("regex", "a("), "unclosed"),
        (plain("regex", "(?=a)b"), "look-around"),
        (plain("grammar", "start: nothing"), "nothing"),
        (plain("grammar", 'root ::= "a" ['), "line 1"),
        (plain("grammar", 'begin: "a"'), "start"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_the_librarys_words(stoker: Any, constraint: Any, word: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await answer(stoker, constraint)
    assert word in caught.value.message and caught.value.param == constraint.param


DOUBLING = "\n".join(["start: T0", *(f"T{i}: T{i + 1} T{i + 1}" for i in range(40)), 'T40: "a"'])
BOMBS = {
    "long": plain("regex", "a" * 20_001),
    "nested": plain("regex", "(" * 9000 + "a" + ")" * 9000),
    "counted": plain("regex", "((a{1,999}b?){1,999}c?){1,999}x" * 50),
    "doubling": plain("grammar", DOUBLING),
    "chain": plain("grammar", "\n".join(["start: a0", *(f'a{i}: a{i + 1} | "x"' for i in range(900)), 'a900: "a"'])),
    "parentheses": plain("grammar", "start: " + "(" * 9000 + '"a"' + ")" * 9000),
    "gbnf": plain("grammar", "root ::= " + "(" * 9000 + '"a"' + ")" * 9000),
    "deep": Constraint(kind="json_schema", text='{"items":' * 7000 + "1" + "}" * 7000),
    "references": schema({"$ref": "#/$defs/0", "$defs": {f"{i}": {"allOf": [{"$ref": f"#/$defs/{i + 1}"}]}
                                                         for i in range(1000)}}),
    "itself": schema({"$ref": "#"}),
    "ambiguous": plain("grammar", 'start: a\na: a a a | /[a-z]/ | /[a-z]+/ | " "'),
    "long string": schema({"type": "string", "minLength": 10**6}),
    "many items": schema({"type": "array", "items": {"type": "integer"}, "minItems": 10**6}),
}  # fmt: skip


async def test_bombs_are_refused_or_bounded_and_others_go_on(stoker: Any) -> None:
    async def light(constraint: Constraint) -> str:
        try:
            return str((await answer(stoker, constraint, max_tokens=30, temperature=1.0, seed=1))[1])
        except BadRequest:
            return "refused"

    async def others() -> int:
        done = 0
        while not exploded.done():
            assert (await answer(stoker, None, max_tokens=8))[1] in ("stop", "length")
            done += 1
        return done

    exploded = asyncio.gather(*(light(bomb) for bomb in BOMBS.values()))
    assert await others() > 0
    found = dict(zip(BOMBS, await exploded, strict=True))
    assert set(found.values()) <= {"refused", "length", "stop"}, found
    assert {name for name, what in found.items() if what == "refused"} >= {
        "long",
        "nested",
        "doubling",
        "deep",
        "itself",
    }


async def test_compiled_constraints_are_kept_but_not_without_end(stoker: Any) -> None:
    await asyncio.gather(*(answer(stoker, plain("regex", "a{3}")) for _ in range(4)))
    first = stoker._grammars._known(plain("regex", "a{3}"))
    assert first is not None and (await answer(stoker, plain("regex", "a{3}")))[0] == "aaa"
    assert stoker._grammars._known(plain("regex", "a{3}")) is first
    for number in range(KEPT):
        await stoker._grammars.guide(plain("regex", f"b{{{number + 1}}}"))
    assert stoker._grammars._known(plain("regex", "a{3}")) is None and len(stoker._grammars._kept) == KEPT


async def test_who_leaves_within_a_constrained_answer_frees_its_place(stoker: Any) -> None:
    request = GenerateRequest(
        request_id="r", prompt="x", sampling=Sampling(temperature=0), constraint=plain("regex", "[a-z]+")
    )
    pieces = stoker.generate(request)
    await anext(pieces)
    await pieces.aclose()
    assert (await answer(stoker, plain("choice", '["left"]')))[0] == "left"
    async with asyncio.timeout(SECONDS):
        while stoker._scheduler._batch.running:  # it leaves before the next step, on the thread of steps
            await asyncio.sleep(0.005)


async def test_an_answer_without_end_cannot_be_constrained(stoker: Any) -> None:
    with pytest.raises(NotSupported, match="ignore_eos"):
        await answer(stoker, plain("regex", "a"), ignore_eos=True)


async def test_one_by_one_and_on_other_tokenizers(model_folder: Any, start: Any) -> None:
    for engine in (start(model_folder("llama")), start(model_folder("mamba"))):
        assert set(engine.constraints) == {"json_schema", "regex", "choice", "grammar"}
        for seed in range(3):
            text, reason, _ = await answer(engine, plain("regex", "(é|x){4}"), temperature=2, seed=seed)
            assert reason == "stop" and re.fullmatch("(é|x){4}", text)


def test_bits_of_what_is_allowed() -> None:
    words = torch.tensor([[0b101, 0, -(2**31)], [-1, -1, -1]], dtype=torch.int32)
    barred = forbidden(words, 100)
    assert (~barred[0]).nonzero()[:, 0].tolist() == [0, 2, 95]
    assert barred.shape == (2, 100) and barred[1].nonzero()[:, 0].tolist() == [96, 97, 98, 99]
    assert forbidden(words, 70).shape == (2, 70)
