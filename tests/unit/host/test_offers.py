import msgspec

from enginehouse.host.contributions import Contributions
from enginehouse.host.devices import Machine
from enginehouse.host.environment_need import Place, Supply
from enginehouse.host.offers import engines_for, find_family, offer_of, options_schema
from enginehouse.sdk import EngineSpec, ModelFamily, ModelType, Options, Variant

MACHINE = Machine(platform="linux", packages={"lib": "2.0"})


class Nested(msgspec.Struct):
    depth: int = 1


class SomeOptions(Options, frozen=True, kw_only=True):
    max_batch: int = 8
    nested: Nested | None = None


def variant(model_format: str, size: str, quantization: str = "none") -> Variant:
    return Variant(format=model_format, size_in_billions=size, quantization=quantization, sources=("file:/x",))


def engine(name: str, **fields: object) -> EngineSpec:
    given = {
        "tasks": ("generate",),
        "formats": ("pytorch",),
        "engine": "a:B",
        "model_types": ("LLM", "rerank"),
        **fields,
    }
    return EngineSpec(name=name, **given)  # type: ignore[arg-type]


def family(model_type: str = "LLM", name: str = "m") -> ModelFamily:
    return ModelFamily(
        name=name,
        model_type=model_type,
        abilities=("generate",) if model_type == "LLM" else (),
        variants=(
            variant("pytorch", "7"),
            variant("pytorch", "7", "Int4"),
            variant("pytorch", "0_5"),
            variant("ggufv2", "7", "Q4"),
        ),
    )


def known(*engines: EngineSpec, families: tuple[ModelFamily, ...] = ()) -> Contributions:
    contributions = Contributions()
    kinds = [ModelType(name=name, tasks=("generate",), abilities=()) for name in ("rerank", "LLM")]
    contributions.add(
        {
            "enginehouse_model_types": kinds,
            "enginehouse_engines": list(engines),
            "enginehouse_families": list(families),
        }
    )
    return contributions


def test_llms_are_grouped_by_format_and_size() -> None:
    answer = engines_for(family(), Place(known(engine("torchy"), engine("other", formats=("mlx",))), MACHINE))
    assert answer["torchy"] == [
        {"model_name": "m", "model_format": "pytorch", "model_size_in_billions": 7, "quantizations": ["none", "Int4"]},
        {"model_name": "m", "model_format": "pytorch", "model_size_in_billions": "0_5", "quantizations": ["none"]},
    ]
    assert isinstance(answer["other"], str)
    assert answer["other"].startswith(
        "Engine other cannot run m: it reads mlx, these weights are pytorch; it reads mlx"
    )


def test_other_types_have_one_item_a_variant() -> None:
    answer = engines_for(family("rerank"), Place(known(engine("gg", formats=("ggufv2",))), MACHINE))
    assert answer == {"gg": [{"model_name": "m", "model_format": "ggufv2", "quantization": "Q4"}]}


def test_engines_that_are_not_installed_count_where_an_environment_may_be_made() -> None:
    lacking = engine("lacking", requirements=("nolib>=2",))
    for can_make, wish, usable in ((True, None, True), (True, True, True), (True, False, False), (False, None, False)):
        place = Place(known(lacking), MACHINE, Supply(can_make=can_make))
        answer = engines_for(family(), place, wish)["lacking"]
        assert isinstance(answer, list) == usable
        assert usable or "its library nolib is not installed" in answer


def test_a_name_without_a_type_is_an_llm_first() -> None:
    llm, rerank, only = family(), family("rerank"), family("rerank", "only")
    contributions = known(families=(rerank, only, llm))
    assert find_family(contributions, "M", None) is llm
    assert find_family(contributions, "only", None) is only
    assert find_family(contributions, "m", "RERANK") is rerank
    assert find_family(contributions, "nobody", None) is None is find_family(contributions, "m", "nothing")


def test_an_offer_says_what_is_missing_and_which_options_there_are() -> None:
    offer = offer_of(engine("e", options=SomeOptions, requirements=("lib>=2", "gone; sys_platform == 'x'")), MACHINE)
    assert offer.installed
    assert [(state.installed, state.satisfied) for state in offer.requirements] == [("2.0", True), (None, True)]
    assert offer.options["properties"]["max_batch"] == {"type": "integer", "default": 8}
    assert list(offer.options["$defs"]) == ["Nested"]
    assert offer.tasks == ("generate", "chat")
    assert not offer_of(engine("e", requirements=("lib>=3",)), MACHINE).installed
    assert options_schema(engine("e"))["properties"] == {}
