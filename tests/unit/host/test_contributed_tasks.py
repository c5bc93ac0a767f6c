"""Tasks that plugins bring: what may stand beside what there is, in whatever order plugins are loaded."""

from __future__ import annotations

import pytest

from enginehouse.host.plugins import PluginCensus, PluginRecord, load_plugins
from enginehouse.host.settings import Settings

TYPE = """
    import msgspec
    from enginehouse.sdk import EngineSpec, ModelType, Task, hookimpl

    class Look(msgspec.Struct):
        model: str
        at: str = ""
        {field}

    @hookimpl
    def enginehouse_model_types():
        task = Task(name={name!r}, route={route!r}, summary="s", request={request}, answer=dict, chunk={chunk})
        return [ModelType(name={type!r}, own_tasks=({task},))]
"""
ENGINE = """
    from enginehouse.sdk import EngineSpec, hookimpl

    @hookimpl
    def enginehouse_engines():
        return [EngineSpec(name="seer", tasks=("look",), model_types=("stars",), formats=("x",), engine="a:B")]
"""


def type_plugin(**changes: object) -> str:
    right = {"name": "look", "route": "/v1/stars/looks", "type": "stars", "request": "Look", "chunk": None}
    return TYPE.format(**{**right, "field": "", "task": "task", **changes})


def record(census: PluginCensus, name: str) -> PluginRecord:
    return next(one for one in census.records if one.name == name)


@pytest.mark.parametrize("names", [("a_type", "b_engine"), ("b_type", "a_engine")])
def test_an_engine_may_do_what_another_plugins_type_brings(settings: Settings, install_plugin, names) -> None:
    install_plugin(names[0], type_plugin())
    install_plugin(names[1], ENGINE)
    census = load_plugins(settings)
    assert [record(census, name).state for name in names] == ["loaded", "loaded"]
    task = census.contributions.task_at("/v1/stars/looks")
    assert task is not None and task.name == "look"
    assert census.contributions.task_at("/v1/stars") is None


def test_an_engine_that_does_what_nobody_brings_is_quarantined(settings: Settings, install_plugin) -> None:
    install_plugin("lonely", ENGINE)
    census = load_plugins(settings)
    lonely = record(census, "lonely")
    assert lonely.state == "quarantined" and lonely.version == "1.2"
    assert "tasks ['look'] are unknown" in (lonely.reason or "") and "generate" in (lonely.reason or "")
    assert "seer" not in {engine.name for engine in census.contributions.engines}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"route": "/v1/models/looks"}, "among the server's own"),
        ({"route": "/v1/keys/{uid}"}, "is not like"),
        ({"route": "/v2/stars/looks"}, "is not like"),
        ({"route": "/v1/stars"}, "is not like"),
        ({"route": "/v1/chat/completions"}, "among the server's own"),
        ({"name": "chat"}, "is there already"),
        ({"name": "Look"}, "lower-case"),
        ({"request": "dict"}, "not a msgspec.Struct"),
        ({"request": "type('Look', (msgspec.Struct,), {})"}, "no field `model`"),
        ({"chunk": "Look"}, "no field `stream`"),
        ({"task": "task, task"}, "is there already"),
        ({"task": "'look'"}, "which is no Task"),
    ],
)
def test_an_impossible_task_is_named(settings: Settings, install_plugin, changes, said) -> None:
    install_plugin("z_stars", type_plugin(**changes))
    stars = record(load_plugins(settings), "z_stars")
    assert stars.state == "quarantined", stars
    assert said in (stars.reason or "")


@pytest.mark.parametrize("changes", [{"route": "/v1/flexible/infers"}, {"name": "infer"}])
def test_of_two_that_bring_the_same_task_neither_is_loaded(settings: Settings, install_plugin, changes) -> None:
    install_plugin("z_stars", type_plugin(**changes))
    census = load_plugins(settings)
    for name, other in (("z_stars", "flexible"), ("flexible", "z_stars")):
        one = record(census, name)
        assert one.state == "quarantined" and f"Plugin {other} brings a task" in (one.reason or "")


def test_routes_of_a_blocked_plugin_linger_until_it_comes_or_goes(settings: Settings, install_plugin) -> None:
    install_plugin("z_stars", type_plugin())
    contributions = load_plugins(settings).contributions
    nouns, tasks = contributions.of("z_stars"), contributions.tasks_of("z_stars")
    contributions.take({}, without=["z_stars"])
    assert contributions.task_at("/v1/stars/looks") is None
    contributions.linger("z_stars", tasks)
    assert contributions.task_at("/v1/stars/looks") is tasks[0] and contributions.model_type("stars") is None
    contributions.take({"z_stars": nouns})
    assert contributions.own_tasks.count(tasks[0]) == 1
    contributions.take({}, without=["z_stars"])
    assert contributions.task_at("/v1/stars/looks") is None


def test_a_stream_is_asked_for_by_a_field(settings: Settings, install_plugin) -> None:
    install_plugin("z_stars", type_plugin(chunk="Look", field="stream: bool = False"))
    assert record(load_plugins(settings), "z_stars").state == "loaded"
