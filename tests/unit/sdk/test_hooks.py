"""Each hook, with its shipped user: what it gives, through the real loader."""

from pathlib import Path

import pytest

from enginehouse.host.plugins import PluginCensus, load_plugins
from enginehouse.host.settings import Settings


@pytest.fixture(scope="module")
def census(tmp_path_factory: pytest.TempPathFactory) -> PluginCensus:
    return load_plugins(Settings(home=Path(tmp_path_factory.mktemp("home"))))


def test_enginehouse_model_types(census: PluginCensus) -> None:
    kind = census.contributions.model_type("llm")
    assert kind and kind.name == "LLM" and kind.tasks == ("chat", "generate")
    infer = census.contributions.task_at("/v1/flexible/infers")
    assert infer and infer.name == "infer"


def test_enginehouse_families(census: PluginCensus) -> None:
    stoker = census.contributions.family("LLM", "stoker")
    assert stoker and stoker.variants[0].format == "pytorch"
    assert {"chat", "generate", "tools"} <= set(stoker.abilities)


def test_enginehouse_engines(census: PluginCensus) -> None:
    assert {"transformers", "fake"} <= {engine.name for engine in census.contributions.engines}


def test_enginehouse_launchers(census: PluginCensus) -> None:
    named = {launcher.name: launcher for launcher in census.contributions.launchers}
    assert "xinference.model.flexible.launchers.yolo" in named["yolo"].aliases
    assert any(text.startswith("ultralytics") for text in named["yolo"].requirements)


def test_enginehouse_sources(census: PluginCensus) -> None:
    for scheme in ("file", "package"):
        assert census.contributions.source(scheme)


def test_enginehouse_provisioners(census: PluginCensus) -> None:
    assert census.contributions.provisioner("system")


def test_enginehouse_parsers(census: PluginCensus) -> None:
    for name, kind in (("hermes", "tool"), ("think", "reasoning")):
        found = census.contributions.parser(name, kind)
        assert found and found.kind == kind


def test_enginehouse_clusters(census: PluginCensus) -> None:
    assert [cluster.name for cluster in census.contributions.clusters] == ["local"]
    assert census.contributions.cluster("LOCAL") is census.contributions.clusters[0]


def test_enginehouse_choose_engine(census: PluginCensus) -> None:
    stoker = census.contributions.family("LLM", "stoker")
    assert stoker
    engines = census.contributions.engines
    assert census.choose_engine(stoker, stoker.variants[0], engines)[0] in engines


def test_enginehouse_requirements(census: PluginCensus) -> None:
    stoker, engines = census.contributions.family("LLM", "stoker"), census.contributions.engines
    assert stoker
    engine = next(engine for engine in engines if engine.name == "transformers")
    on_cpu, on_cuda = (census.requirements(engine, stoker.variants[0], device) for device in ("cpu", "cuda"))
    assert on_cpu.packages == engine.requirements
    assert set(on_cuda.recommended) - set(on_cpu.recommended) == {"accelerate>=1.0"}
    fake = next(engine for engine in engines if engine.name == "fake")
    assert census.requirements(fake, stoker.variants[0], "cpu").recommended == ()
