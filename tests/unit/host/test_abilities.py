"""What a family can do depends on the parsers that are there, and on the engine."""

import pytest

from enginehouse.host.abilities import as_run_by, usable_abilities
from enginehouse.host.contributions import Contributions
from enginehouse.host.devices import Machine
from enginehouse.host.launch_request import LaunchRequest
from enginehouse.host.planning import Knowledge, make_plan
from enginehouse.sdk import BadRequest, EngineSpec, ModelFamily, ModelType, ParserSpec, Variant

WEIGHTS = Variant(format="pytorch", size_in_billions="7", sources=("file:/seven",))
GENERATES = EngineSpec(name="plain", tasks=("generate",), formats=("pytorch",), engine="a:B")
CHATS = EngineSpec(name="whole", tasks=("chat", "generate"), formats=("pytorch",), engine="a:B")
PARSERS = [
    ParserSpec(name="hermes", kind="tool", parser="a:Hermes"),
    ParserSpec(name="think", kind="reasoning", parser="a:Think"),
]


def family(tool_parser: str | None, name: str = "seven") -> ModelFamily:
    return ModelFamily(
        name=name,
        model_type="LLM",
        variants=(WEIGHTS,),
        abilities=("chat", "tools", "reasoning"),
        tool_parser=tool_parser,
        reasoning_parser="nowhere",
    )


def contributions(*families: ModelFamily) -> Contributions:
    known = Contributions()
    known.add(
        {
            "enginehouse_model_types": [ModelType(name="LLM", tasks=("chat",), abilities=("chat", "tools"))],
            "enginehouse_families": list(families),
            "enginehouse_engines": [GENERATES],
            "enginehouse_parsers": PARSERS,
        }
    )
    return known


@pytest.mark.parametrize("parser", ["hermes", "HERMES"])
def test_tools_with_their_parser(parser: str) -> None:
    assert usable_abilities(family(parser), contributions()) == ("chat", "tools", "reasoning")


@pytest.mark.parametrize("parser", ["mistral", "think", None])
def test_no_tools_without_it(parser: str | None) -> None:
    assert usable_abilities(family(parser), contributions()) == ("chat", "reasoning")


def test_an_engine_that_chats_needs_no_parser() -> None:
    model = family("mistral")
    assert as_run_by(CHATS, model, contributions()) is model
    assert as_run_by(GENERATES, model, contributions()).abilities == ("chat", "reasoning")


def test_a_plan_says_what_will_be_answered() -> None:
    known = Knowledge(contributions(family("mistral")), Machine(platform="linux"), lambda f, v, able: (able[0], "test"))
    made = make_plan(LaunchRequest(model_name="seven"), known)
    assert made.family.abilities == ("chat", "reasoning")
    assert made.family.tool_parser == "mistral"


def test_of_many_names_those_alike_are_told() -> None:
    many = [family(None, name) for name in ("qwen3", "qwen2.5-instruct", *(f"llama-{size}" for size in range(20)))]
    known = Knowledge(contributions(*many), Machine(platform="linux"), lambda f, v, able: (able[0], "test"))
    with pytest.raises(
        BadRequest, match=r"22 are known, of them alike: qwen3, .*GET /v1/model_registrations/LLM"
    ) as told:
        make_plan(LaunchRequest(model_name="Qwen-3"), known)
    assert "llama-0" not in told.value.message
