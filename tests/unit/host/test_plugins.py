from pathlib import Path

import msgspec

from enginehouse.host.plugins import PluginCensus, PluginRecord, load_plugins
from enginehouse.host.settings import Settings
from enginehouse.sdk import Requirements, Variant

GOOD = """
    from enginehouse.sdk import EngineSpec, hookimpl

    @hookimpl
    def enginehouse_engines():
        return [EngineSpec(name="good", tasks=("generate",), formats=("pytorch",), engine="nowhere:Engine")]
"""


def record(census: PluginCensus, name: str) -> PluginRecord:
    return next(one for one in census.records if one.name == name)


def engines(census: PluginCensus) -> set[str]:
    return {engine.name for engine in census.contributions.engines}


def test_built_ins_come_through_the_same_door(settings: Settings) -> None:
    builtin = record(load_plugins(settings), "builtin")
    assert builtin.state == "loaded"
    assert builtin.distribution == "enginehouse-core"
    assert {"LLM", "embedding", "rerank"} <= set(builtin.contributes["model_types"])


def test_a_good_plugin_is_loaded(settings: Settings, install_plugin) -> None:
    install_plugin("good", GOOD)
    census = load_plugins(settings)
    good = record(census, "good")
    assert (good.state, good.version, good.contributes) == ("loaded", "1.2", {"engines": ["good"]})
    assert good.import_seconds is not None and good.reason is None
    assert "good" in engines(census)


def test_one_that_raises_on_import_loses_only_itself(settings: Settings, install_plugin) -> None:
    install_plugin("good", GOOD)
    install_plugin("broken", "import no_such_module_anywhere")
    census = load_plugins(settings)
    broken = record(census, "broken")
    assert broken.state == "quarantined"
    assert "no_such_module_anywhere" in (broken.reason or "")
    assert "Traceback" in (broken.traceback or "")
    assert "good" in engines(census)


def test_one_that_exits_on_import_does_not_end_the_server(settings: Settings, install_plugin) -> None:
    install_plugin("quitter", "import sys; sys.exit(3)")
    quitter = record(load_plugins(settings), "quitter")
    assert (quitter.state, quitter.reason) == ("quarantined", "SystemExit: 3")


def test_one_that_hangs_on_import_is_left_behind(settings: Settings, install_plugin) -> None:
    install_plugin("good", GOOD)
    install_plugin("hangs", "import threading; threading.Event().wait(20)")
    census = load_plugins(settings)
    hangs = record(census, "hangs")
    assert hangs.state == "quarantined"
    assert "still running after 0.5 s" in (hangs.reason or "")
    assert "good" in engines(census)


def test_one_that_raises_in_a_hook_contributes_nothing(settings: Settings, install_plugin) -> None:
    install_plugin(
        "half",
        GOOD
        + """
    @hookimpl
    def enginehouse_families():
        raise RuntimeError("the catalogue is on fire")
""",
    )
    census = load_plugins(settings)
    assert record(census, "half").reason == "RuntimeError: the catalogue is on fire"
    assert "good" not in engines(census)


def test_a_bad_spec_is_named(settings: Settings, install_plugin) -> None:
    install_plugin(
        "bad",
        """
        from enginehouse.sdk import EngineSpec, hookimpl

        @hookimpl
        def enginehouse_engines():
            return [EngineSpec(name="bad", tasks=("fly",), formats=("pytorch",), engine="nowhere:Engine")]
        """,
    )
    reason = record(load_plugins(settings), "bad").reason or ""
    assert "Engine 'bad'" in reason and "fly" in reason and "generate" in reason


def test_a_spec_with_a_field_of_the_wrong_type_is_named(settings: Settings, install_plugin) -> None:
    install_plugin(
        "wrong",
        """
        from enginehouse.sdk import ModelFamily, Variant, hookimpl

        @hookimpl
        def enginehouse_families():
            variant = Variant(format="pytorch", size_in_billions=7, sources=("file:/x",))
            return [ModelFamily(name="m", model_type="LLM", variants=(variant,), abilities=("chat",))]
        """,
    )
    wrong = record(load_plugins(settings), "wrong")
    assert wrong.state == "quarantined"
    assert "variants" in (wrong.reason or "") and "size_in_billions" in (wrong.reason or "")


def test_an_answer_of_the_wrong_kind_is_named(settings: Settings, install_plugin) -> None:
    install_plugin(
        "dict",
        """
        from enginehouse.sdk import hookimpl

        @hookimpl
        def enginehouse_engines():
            return [{"name": "no spec"}]
        """,
    )
    assert "must give EngineSpec" in (record(load_plugins(settings), "dict").reason or "")


def test_a_hook_that_does_not_exist_is_named(settings: Settings, install_plugin) -> None:
    install_plugin(
        "stranger",
        """
        from enginehouse.sdk import hookimpl

        @hookimpl
        def enginehouse_telepathy():
            return ()
        """,
    )
    stranger = record(load_plugins(settings), "stranger")
    assert stranger.state == "quarantined" and "enginehouse_telepathy" in (stranger.reason or "")


def test_a_blocked_plugin_is_never_imported(settings: Settings, install_plugin, tmp_path: Path) -> None:
    trace = tmp_path / "imported"
    install_plugin("noisy", f"open({str(trace)!r}, 'w').close()")
    census = load_plugins(msgspec.structs.replace(settings, blocked=("noisy",)))
    assert record(census, "noisy").state == "blocked"
    assert not trace.exists()


def test_the_home_can_block_too(settings: Settings, install_plugin) -> None:
    install_plugin("good", GOOD)
    settings.home.mkdir()
    (settings.home / "blocked_plugins.txt").write_text("# because I say so\ngood\n")
    assert record(load_plugins(settings), "good").state == "blocked"


def test_one_for_another_core_is_incompatible_and_not_imported(
    settings: Settings, install_plugin, tmp_path: Path
) -> None:
    trace = tmp_path / "imported"
    install_plugin("future", f"open({str(trace)!r}, 'w').close()", requires=("enginehouse-core>=99",))
    future = record(load_plugins(settings), "future")
    assert future.state == "incompatible"
    assert ">=99" in (future.reason or "") and "this is 0." in (future.reason or "")
    assert not trace.exists()


def test_of_two_that_claim_one_name_neither_wins_and_both_are_named(settings: Settings, install_plugin) -> None:
    install_plugin("a_first", GOOD)
    install_plugin("b_second", GOOD.replace('"good"', '"GOOD"'))
    census = load_plugins(settings)
    for name, rival in (("a_first", "b_second"), ("b_second", "a_first")):
        loser = record(census, name)
        assert (loser.state, loser.rivals, loser.contributes) == ("quarantined", (rival,), {})
        assert "'good' is claimed among engines by a_first (" in (loser.reason or "")
        assert " and b_second (" in (loser.reason or "")
    assert "good" not in {name.lower() for name in engines(census)}


def test_nobody_takes_a_built_in_name(settings: Settings, install_plugin) -> None:
    source = """
        from enginehouse.sdk import SourceSpec, hookimpl

        @hookimpl
        def enginehouse_sources():
            return [SourceSpec(scheme="file", fetch="nowhere:fetch")]
        """
    install_plugin("aaa", source)
    census = load_plugins(settings)
    assert record(census, "builtin").state == "loaded"
    assert "The built-in one stays." in (record(census, "aaa").reason or "")
    assert (census.contributions.source("file") or source).fetch != "nowhere:fetch"


def test_two_distributions_with_one_plugin_name_are_both_shown_and_not_imported(
    settings: Settings, install_plugin, tmp_path: Path
) -> None:
    trace = tmp_path / "imported"
    for number in (1, 2):
        install_plugin("twin", f"open({str(trace)!r}, 'w').close()", module=f"a_twin_{number}")
    census = load_plugins(settings)
    twins = [one for one in census.records if one.name.startswith("twin")]
    assert len(twins) == 2 and len({one.name for one in twins}) == 2
    assert all("a_twin_1 1.2 and a_twin_2 1.2" in (one.reason or "") for one in twins)
    assert not trace.exists()


def test_one_that_gives_a_name_twice_is_named(settings: Settings, install_plugin) -> None:
    install_plugin("echo", GOOD.replace("return [", "return 2 * ["))
    assert "gives the name 'good' twice" in (record(load_plugins(settings), "echo").reason or "")


def test_what_a_plugin_asks_for_is_in_its_record(settings: Settings, install_plugin) -> None:
    install_plugin("asks", GOOD + "\n    from enginehouse.sdk import Asks\n    ASKS = Asks(network='for weights')\n")
    install_plugin("asks_wrongly", GOOD.replace('"good"', '"g2"') + "\n    ASKS = {'network': 'yes'}\n")
    census = load_plugins(settings)
    assert record(census, "asks").asks.network == "for weights"
    assert "it must be enginehouse.sdk.Asks" in (record(census, "asks_wrongly").reason or "")


def test_readers_see_a_change_of_plugins_whole(settings: Settings, install_plugin) -> None:
    install_plugin("good", GOOD)
    census = load_plugins(settings)
    before = census.contributions.still()
    went = census.exchange(["good"], [])
    assert "good" not in engines(census) and census.record("good") is None
    assert "good" in {engine.name for engine in before.engines}
    census.exchange((), went)
    assert record(census, "good").state == "loaded" and "good" in engines(census)


def test_a_failing_choice_passes_to_the_next_plugin(settings: Settings, install_plugin) -> None:
    from enginehouse.sdk import EngineSpec, ModelFamily, Variant

    install_plugin(
        "chooser",
        """
        from enginehouse.sdk import hookimpl

        @hookimpl
        def enginehouse_choose_engine(candidates):
            raise RuntimeError("cannot make up my mind")
        """,
    )
    census = load_plugins(settings)
    variant = Variant(format="pytorch", size_in_billions="1", sources=("file:/x",))
    family = ModelFamily(name="m", model_type="LLM", variants=(variant,), abilities=("chat",))
    low = EngineSpec(name="low", tasks=("generate",), formats=("pytorch",), engine="a:B")
    high = EngineSpec(name="high", tasks=("generate",), formats=("pytorch",), engine="a:B", rank=5)
    assert census.choose_engine(family, variant, (low, high)) == (high, "builtin")
    assert "cannot make up my mind" in (record(census, "chooser").reason or "")


def test_what_plugins_say_of_requirements_is_added_and_what_is_wrong_is_left_out(
    settings: Settings, install_plugin
) -> None:
    hook = """
        from enginehouse.sdk import Requirements, hookimpl

        @hookimpl
        def enginehouse_requirements({arguments}):
            {body}
        """
    install_plugin("good", GOOD)
    install_plugin("adds", hook.format(arguments="device", body="return Requirements(packages=(f'for-{device}>=1',))"))
    install_plugin("raises", hook.format(arguments="", body="raise RuntimeError('no idea')"))
    install_plugin("mumbles", hook.format(arguments="", body="return Requirements(packages=('--index-url=x',))"))
    install_plugin("lists", hook.format(arguments="", body="return ['x']"))
    census = load_plugins(settings)
    engine = next(engine for engine in census.contributions.engines if engine.name == "good")
    variant = Variant(format="pytorch", size_in_billions="1", sources=("file:/x",))
    said = census.requirements(
        msgspec.structs.replace(engine, requirements=("lib",), exclusions=("x",)), variant, "cpu"
    )
    assert said == Requirements(packages=("lib", "for-cpu>=1"), exclusions=("x",))
    assert record(census, "raises").reason == "requirements: RuntimeError: no idea"
    assert "no requirement" in (record(census, "mumbles").reason or "")
    assert "must give Requirements" in (record(census, "lists").reason or "")
    assert record(census, "mumbles").state == "loaded"


def test_a_hook_that_wraps_others_or_takes_too_much_is_refused(settings: Settings, install_plugin) -> None:
    install_plugin("wraps", GOOD.replace("@hookimpl", "@hookimpl(wrapper=True)"))
    install_plugin("greedy", GOOD.replace("enginehouse_engines()", "enginehouse_engines(server)"))
    census = load_plugins(settings)
    assert "wraps other plugins' answers" in (record(census, "wraps").reason or "")
    assert "enginehouse_engines takes server" in (record(census, "greedy").reason or "")
