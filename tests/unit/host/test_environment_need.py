from pathlib import Path
from typing import Any

import msgspec
import pytest

from enginehouse.host.contributions import Contributions
from enginehouse.host.devices import Machine
from enginehouse.host.environment_need import Case, Chosen, Place, Supply, choose_environment
from enginehouse.host.launch_request import LaunchRequest, parse_launch
from enginehouse.host.planning import Knowledge, make_plan
from enginehouse.sdk import (
    BadRequest,
    CannotRun,
    EngineSpec,
    ModelFamily,
    ModelType,
    PackageIndexes,
    Requirements,
    Variant,
    VirtualEnvironment,
)

VARIANT = Variant(format="pytorch", size_in_billions="1", sources=("file:/x",))
MACHINE = Machine(platform="linux", packages={"lib": "2.0", "numpy": "2.3.1"}, cuda_version="12.8")
ENGINE = EngineSpec(name="torchy", tasks=("generate",), formats=("pytorch",), engine="a:B", requirements=("lib>=2",))
MAKES = Supply(can_make=True)


def family(**block: Any) -> ModelFamily:
    return ModelFamily(
        name="m",
        model_type="LLM",
        variants=(VARIANT,),
        abilities=("generate",),
        virtualenv=VirtualEnvironment(**block) if block else None,
    )


def contributions(*engines: EngineSpec, model: ModelFamily | None = None) -> Contributions:
    made = Contributions()
    made.add(
        {
            "enginehouse_model_types": [ModelType(name="LLM", tasks=("generate",), abilities=())],
            "enginehouse_engines": list(engines or (ENGINE,)),
            "enginehouse_families": [model or family()],
        }
    )
    return made


def choose(model: ModelFamily | None = None, supply: Supply = MAKES, **launch: Any) -> Chosen:
    model = model or family()
    request = parse_launch({"model_name": "m", **launch})
    case = Case(request=request, family=model, variant=VARIANT, engine=ENGINE, device="cpu")
    return choose_environment(case, Place(contributions(model=model), MACHINE, supply))


def with_requirements(**said: Any) -> Supply:
    def answer(engine: EngineSpec, variant: Variant, device: str) -> Requirements:
        return Requirements(**said)

    return msgspec.structs.replace(MAKES, requirements=answer)


LACKS = {"virtual_env_packages": ["gone"]}


@pytest.mark.parametrize(
    ("launch", "enabled", "provisioner", "reason"),
    [
        ({}, None, "system", "has all that is needed"),
        (LACKS, None, "uv", "its library gone is not installed"),
        ({"virtual_env_packages": ["numpy>2"]}, None, "system", "has all that is needed"),
        ({"virtual_env_packages": ["numpy<2"]}, None, "uv", "it needs numpy<2, 2.3.1 is installed"),
        ({"enable_virtual_env": True}, None, "uv", "enable_virtual_env is true"),
        ({"enable_virtual_env": False}, None, "system", "enable_virtual_env is false"),
        ({}, True, "uv", "ENGINEHOUSE_ENABLE_VIRTUAL_ENV is 1"),
        ({}, False, "system", "ENGINEHOUSE_ENABLE_VIRTUAL_ENV is 0"),
        ({"enable_virtual_env": False}, True, "system", "enable_virtual_env is false"),
        ({"environment": "uv"}, False, "uv", "asked for"),
        ({"environment": "system"}, True, "system", "asked for"),
        ({"environment": "uv", "enable_virtual_env": True}, None, "uv", "asked for"),
        ({"environment": "system", "enable_virtual_env": False}, None, "system", "asked for"),
        ({"environment": "path:/usr/bin/python3", **LACKS}, None, "path", "asked for"),
    ],
)
def test_who_makes_it(launch: dict[str, Any], enabled: bool | None, provisioner: str, reason: str) -> None:
    chosen = choose(supply=msgspec.structs.replace(MAKES, enabled=enabled), **launch)
    assert (chosen.need.provisioner, chosen.lacking) == (provisioner, ())
    assert reason in chosen.need.reason
    assert chosen.need.place == ("/usr/bin/python3" if provisioner == "path" else "")


@pytest.mark.parametrize(
    "launch",
    [
        {"environment": "uv", "enable_virtual_env": False},
        {"environment": "system", "enable_virtual_env": True},
        {"environment": "path:/usr/bin/python3", "enable_virtual_env": True},
        {"environment": "path:/usr/bin/python3", "enable_virtual_env": False},
        {"environment": "path:relative/python"},
        {"environment": "path:"},
        {"environment": "conda"},
        {"environment": ""},
    ],
)
def test_wishes_that_make_no_sense(launch: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        choose(**launch)
    assert caught.value.param == "environment"


@pytest.mark.parametrize(
    ("supply", "launch", "said"),
    [
        (MAKES, {"enable_virtual_env": False, **LACKS}, "no environment is made for it: enable_virtual_env is false"),
        (Supply(), LACKS, "its library gone is not installed (pip install 'gone')"),
        (Supply(), {"enable_virtual_env": True}, "no loaded plugin makes environments"),
        (MAKES, {"environment": "system", **LACKS}, "its library gone is not installed"),
    ],
)
def test_what_is_refused_says_what_is_missing(supply: Supply, launch: dict[str, Any], said: str) -> None:
    assert said in " and ".join(choose(supply=supply, **launch).lacking)
    known = Knowledge(contributions(), MACHINE, lambda family, variant, able: (able[0], "t"), supply=supply)
    with pytest.raises(CannotRun) as caught:
        make_plan(parse_launch({"model_name": "m", **launch}), known)
    assert said in caught.value.message


def test_the_later_word_counts_and_the_order_makes_no_other_need() -> None:
    model = family(packages=["numpy==1.26", "Zed", "lib==2.1"])
    chosen = choose(model, virtual_env_packages=["zed>3", "abc"])
    assert chosen.need.requirements == ("abc", "lib==2.1", "numpy==1.26", "zed>3")
    assert chosen.notes == (
        "lib==2.1 (the model m) takes the place of lib>=2 (the engine torchy).",
        "zed>3 (the launch) takes the place of Zed (the model m).",
    )
    other = choose(family(packages=["lib==2.1", "Zed", "numpy==1.26"]), virtual_env_packages=["abc", "zed>3"])
    assert other.need == chosen.need


def test_what_is_recommended_comes_only_into_what_is_made() -> None:
    supply = with_requirements(
        packages=("lib",), recommended=("extra", "numpy<3", "unwanted"), exclusions=("Unwanted",)
    )
    assert choose(supply=supply).need.requirements == ("lib",)
    made = choose(supply=supply, enable_virtual_env=True, virtual_env_packages=["numpy==2.0"]).need
    assert made.requirements == ("extra", "lib", "numpy==2.0")
    assert made.exclusions == ("unwanted",)


def test_overrides_and_exclusions_give_way_to_who_speaks_later() -> None:
    supply = with_requirements(overrides=("numpy<2", "torch==2.13"), exclusions=("torchvision", "triton"))
    made = choose(family(packages=["triton", "numpy==1.25"]), supply, enable_virtual_env=True).need
    assert made.exclusions == ("torchvision",)
    assert made.overrides == ("numpy==1.25", "torch==2.13")
    block = family(overrides=["torch==2.12"], exclusions=["lib"])
    made = choose(block, supply, enable_virtual_env=True, virtual_env_packages=["torchvision"]).need
    assert made.overrides == ("numpy<2", "torch==2.12")
    assert made.exclusions == ("lib", "triton")
    assert choose(block, supply, enable_virtual_env=False, virtual_env_packages=["lib"]).need.overrides == ()


def test_placeholders_of_a_family() -> None:
    other = EngineSpec(name="vllm", tasks=("generate",), formats=("x",), engine="a:B", requirements=("vllm>=0.11",))
    words = [
        "#vllm_dependencies#",
        "#system_numpy#",
        "#system_pandas#",
        'a ; #engine# == "torchy"',
        'b ; #engine# == "vllm"',
        'c ; cuda_version >= "12"',
    ]
    model = family(packages=words)
    request = LaunchRequest(model_name="m")
    place = Place(contributions(ENGINE, other, model=model), MACHINE, MAKES)
    for device, more in (("cpu", ()), ("cuda", ("c",))):
        case = Case(request=request, family=model, variant=VARIANT, engine=ENGINE, device=device)
        chosen = choose_environment(case, place)
        assert chosen.need.requirements == ("a", *more, "lib>=2", "numpy==2.3.1", "vllm>=0.11")
        assert chosen.need.accelerator == device
        assert chosen.notes == ("#system_pandas# is left out: the server has no pandas.",)


PIP = PackageIndexes(
    index_url="https://pip", find_links=("/pip",), trusted_host=("pip",), certificate="/ca", no_index=True
)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({}, PIP),
        ({"inherit_pip_config": False}, PackageIndexes()),
        ({"packages": ["gone"]}, PIP),
        (
            {"index_url": "https://own", "find_links": "/own", "extra_index_url": ["https://a", "https://b"]},
            msgspec.structs.replace(
                PIP, index_url="https://own", find_links=("/own",), extra_index_url=("https://a", "https://b")
            ),
        ),
        (
            {
                "inherit_pip_config": False,
                "extra_index_url": "https://a https://b",
                "trusted_host": "x",
                "index_strategy": "first-index",
                "no_build_isolation": True,
            },
            PackageIndexes(
                extra_index_url=("https://a", "https://b"),
                trusted_host=("x",),
                index_strategy="first-index",
                no_build_isolation=True,
            ),
        ),
    ],
)
def test_where_packages_come_from(block: dict[str, Any], expected: PackageIndexes) -> None:
    supply = msgspec.structs.replace(MAKES, pip=PIP)
    assert choose(family(**block), supply, environment="uv").need.indexes == expected
    assert choose(family(**block), supply, environment="path:/p", **LACKS).need.indexes == PackageIndexes()


def test_the_engines_own_index_is_added_once() -> None:
    supply = msgspec.structs.replace(with_requirements(extra_index_url=("https://e", "https://b")), pip=PIP)
    indexes = choose(family(extra_index_url="https://b"), supply, environment="uv").need.indexes
    assert indexes.extra_index_url == ("https://b", "https://e")


def test_folders_of_wheels(tmp_path: Path) -> None:
    allowed, outside = tmp_path / "wheels", tmp_path / "outside"
    for folder in (allowed / "inner", outside):
        folder.mkdir(parents=True)
    (allowed / "away").symlink_to(outside)
    (tmp_path / "into").symlink_to(allowed / "inner")
    supply = msgspec.structs.replace(MAKES, pip=PIP, find_links_roots=(allowed,))
    for good in (allowed, allowed / "inner", tmp_path / "into"):
        links = choose(supply=supply, environment="uv", virtual_env_find_links=[str(good)]).need.indexes.find_links
        assert links == ("/pip", str(good.resolve()))
    for bad in (outside, allowed / "away", allowed / ".." / "outside", "wheels", allowed / "gone", tmp_path, "/a\0b"):
        for environment in ("uv", "system"):
            with pytest.raises(BadRequest) as caught:
                choose(supply=supply, environment=environment, virtual_env_find_links=[str(bad)])
            assert caught.value.param == "virtual_env_find_links"


URL = "x @ https://me:word@host/x-1-py3-none-any.whl"


def test_packages_by_url_need_the_servers_leave() -> None:
    with pytest.raises(BadRequest, match="ENGINEHOUSE_PACKAGE_URLS") as caught:
        choose(virtual_env_packages=[URL])
    assert caught.value.param == "virtual_env_packages" and "word" not in caught.value.message
    allowed = msgspec.structs.replace(MAKES, urls_allowed=True)
    assert "host" in choose(supply=allowed, virtual_env_packages=[URL]).need.requirements[-1]


def test_a_plugins_family_may_name_urls_and_a_registered_one_may_not() -> None:
    model = family(packages=[URL])
    chosen = choose(model)
    assert chosen.need.provisioner == "uv" and "word" not in chosen.need.reason
    registered = contributions(ENGINE, model=msgspec.structs.replace(model, name="another"))
    registered.adopt(model)
    case = Case(request=LaunchRequest(model_name="m"), family=model, variant=VARIANT, engine=ENGINE, device="cpu")
    with pytest.raises(BadRequest) as caught:
        choose_environment(case, Place(registered, MACHINE, MAKES))
    assert caught.value.param == "virtualenv.packages" and "word" not in caught.value.message


def test_engines_that_need_nothing_made_come_first() -> None:
    better = EngineSpec(
        name="better", tasks=("generate",), formats=("pytorch",), engine="a:B", requirements=("gone",), rank=9
    )
    choice = []

    def pick(family: ModelFamily, variant: Variant, able: tuple[EngineSpec, ...]) -> tuple[EngineSpec, str]:
        choice.append([engine.name for engine in able])
        return able[0], "test"

    known = Knowledge(contributions(better, ENGINE), MACHINE, pick, supply=MAKES)
    assert make_plan(LaunchRequest(model_name="m"), known).engine == "torchy"
    plan = make_plan(LaunchRequest(model_name="m", model_engine="better"), known)
    assert (plan.engine, plan.environment.provisioner) == ("better", "uv")
    plan = make_plan(LaunchRequest(model_name="m", enable_virtual_env=True), known)
    assert choice == [["better", "torchy"]] and plan.engine == "better"
    assert msgspec.json.decode(msgspec.json.encode(plan), type=type(plan)) == plan


TORCH = {"enable_virtual_env": True, "virtual_env_packages": ["torch>=2.9"]}


def test_cuda_s_torch_for_a_cpu_is_told_before_it_is_fetched() -> None:
    told = [note for note in choose(**TORCH).notes if "UV_TORCH_BACKEND=cpu" in note]
    assert len(told) == 1
    for supply in (
        msgspec.structs.replace(MAKES, uv_says={"UV_TORCH_BACKEND": "cpu"}),
        msgspec.structs.replace(MAKES, uv_says={"UV_FIND_LINKS": "/wheels"}),
        msgspec.structs.replace(MAKES, pip=PackageIndexes(find_links=("/wheels",))),
    ):
        assert choose(supply=supply, **TORCH).notes == ()
    assert choose(**{**TORCH, "virtual_env_packages": ["torch==2.13.0+cpu"]}).notes == ()
    assert choose(enable_virtual_env=True).notes == ()


@pytest.mark.parametrize(
    ("said", "device", "backend"),
    [("auto", "cpu", "cpu"), ("auto", "cuda", "auto"), ("cu128", "cpu", "cu128"), (None, "cpu", None)],
)
def test_auto_goes_by_the_device_of_the_plan(said: str | None, device: str, backend: str | None) -> None:
    supply = msgspec.structs.replace(MAKES, uv_says={"UV_TORCH_BACKEND": said} if said else {})
    request = parse_launch({"model_name": "m", **TORCH})
    case = Case(request=request, family=family(), variant=VARIANT, engine=ENGINE, device=device)
    need = choose_environment(case, Place(contributions(), MACHINE, supply)).need
    assert (need.indexes.torch_backend, need.accelerator) == (backend, device)
