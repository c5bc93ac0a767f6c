"""Code that is exchanged in this process: whole, unmixed, and taken back."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enginehouse.host.plugin_examination import PluginRefused
from enginehouse.host.plugin_shelf import Shelf, Shelved, mount, unmount
from enginehouse.host.plugin_swap import PluginSwap
from enginehouse.host.plugins import PluginCensus, load_plugins
from enginehouse.host.settings import Settings
from enginehouse.sdk import InvalidSpec

PLUGIN = """
from enginehouse.sdk import EngineSpec, hookimpl
from .words import WORD

@hookimpl
def enginehouse_engines():
    from .words import WORD as NOW
    assert NOW == WORD == {word!r}
    fixed = dict(tasks=("generate",), formats=("x",), engine="e:E", summary=WORD)
    return [EngineSpec(name=name, **fixed) for name in {names!r}]
"""


@pytest.fixture
def version(tmp_path: Path) -> Iterator[Any]:
    """Makes versions of the distribution `swapped`, each in a folder of its own."""
    made: list[Path] = []

    def make(word: str, *names: str, more: str = "") -> Path:
        site = tmp_path / f"site-{word}"
        (site / "swapped").mkdir(parents=True)
        (site / "swapped" / "__init__.py").write_text(PLUGIN.format(word=word, names=names) + more)
        (site / "swapped" / "words.py").write_text(f"WORD = {word!r}\n")
        info = site / f"swapped-{len(made)}.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: swapped\nVersion: {len(made)}.0\n")
        (info / "entry_points.txt").write_text("[enginehouse]\nswapped = swapped\n")
        made.append(site)
        return site

    yield make
    for site in made:
        unmount(site)


@pytest.fixture
def census(settings: Settings) -> PluginCensus:
    return load_plugins(settings)


def summaries(census: PluginCensus) -> dict[str, str]:
    return {engine.name: engine.summary for engine in census.contributions.engines if engine.formats == ("x",)}


async def test_the_new_version_meets_no_module_of_the_old(census: PluginCensus, version: Any) -> None:
    old, new = version("one", "a"), version("two", "a", "b")
    await PluginSwap(census, (), None, old).do((), 5)
    assert summaries(census) == {"a": "one"}
    swap = PluginSwap(census, ["swapped"], old, new)
    await swap.do((), 5)
    assert summaries(census) == {"a": "two", "b": "two"}
    assert str(old) not in sys.path and sys.modules["swapped.words"].WORD == "two"
    swap.undo()
    assert summaries(census) == {"a": "one"}
    assert str(new) not in sys.path and sys.modules["swapped.words"].WORD == "one"
    assert (record := census.record("swapped")) and (record.state, record.version) == ("loaded", "0.0")


@pytest.mark.parametrize(
    ("more", "names", "kind"),
    [
        ("\nraise RuntimeError('no')\n", ("a",), PluginRefused),
        ("\nimport sys\nsys.exit(1)\n", ("a",), PluginRefused),
        ("", ("system-of-others", "taken"), InvalidSpec),
        ("", ("a", "a"), PluginRefused),
    ],
    ids=["raises", "exits", "takes a name", "gives a name twice"],
)
async def test_what_cannot_be_taken_in_leaves_everything_as_it_was(
    settings: Settings, install_plugin: Any, version: Any, more: str, names: tuple[str, ...], kind: type[Exception]
) -> None:
    install_plugin(
        "holder",
        """
        from enginehouse.sdk import EngineSpec, hookimpl

        @hookimpl
        def enginehouse_engines():
            return [EngineSpec(name="Taken", tasks=("generate",), formats=("y",), engine="e:E")]
        """,
    )
    census = load_plugins(settings)
    old, new = version("one", "a"), version("two", *names, more=more)
    await PluginSwap(census, (), None, old).do((), 5)
    before, path = census.records, list(sys.path)
    with pytest.raises(kind):
        await PluginSwap(census, ["swapped"], old, new).do((), 5)
    assert (census.records, sys.path) == (before, path)
    assert summaries(census) == {"a": "one"} and sys.modules["swapped.words"].WORD == "one"


async def test_what_is_removed_leaves_nothing(census: PluginCensus, version: Any) -> None:
    site = version("one", "a")
    await PluginSwap(census, (), None, site).do((), 5)
    await PluginSwap(census, ["swapped"], site, None).do((), 5)
    assert census.record("swapped") is None and not summaries(census)
    assert not [name for name in sys.modules if name.startswith("swapped")] and str(site) not in sys.path


async def test_a_blocked_plugin_comes_along_and_is_not_used(census: PluginCensus, version: Any) -> None:
    await PluginSwap(census, (), None, version("one", "a")).do(["swapped"], 5)
    assert (record := census.record("swapped")) and record.state == "blocked"
    assert not summaries(census) and "swapped" not in sys.modules


async def test_readers_on_other_threads_see_old_or_new_and_nothing_between(census: PluginCensus, version: Any) -> None:
    old, new = version("one", "a", "b", "c"), version("two", "a", "b", "c")
    await PluginSwap(census, (), None, old).do((), 5)
    seen: list[dict[str, str]] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(summaries(census))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(20):
            swap = PluginSwap(census, ["swapped"], old, new)
            await swap.do((), 5)
            swap.undo()
    finally:
        stop.set()
        reader.join(10)
    assert {tuple(one.values()) for one in seen} <= {("one",) * 3, ("two",) * 3} and seen


def test_the_shelf_keeps_one_version_and_sweeps_the_others(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first, second = (
        Shelved(distribution="A.Plugin", version=version, digest=version * 8, source="x", installed_ts=0)
        for version in ("1.0", "2.0")
    )
    for one in (first, second):
        shelf.site(one).mkdir(parents=True)
    examined = shelf.root / ".examined" / "abc"
    examined.mkdir(parents=True)
    shelf.keep(first)
    shelf.keep(second)
    assert shelf.installed() == (second,) and shelf.find("a-plugin") == second
    shelf.sweep([str(shelf.site(first))])
    assert shelf.site(first).is_dir() and shelf.site(second).is_dir(), "a worker runs from the first"
    shelf.sweep([])
    assert not shelf.site(first).exists() and shelf.site(second).is_dir()
    shelf.drop("a_plugin")
    shelf.sweep([])
    assert examined.is_dir(), "what somebody is looking at stays"
    assert shelf.installed() == () and not list(shelf.root.glob("a-plugin*"))


def test_a_list_that_cannot_be_read_costs_the_plugins_and_not_the_server(tmp_path: Path, caplog: Any) -> None:
    shelf = Shelf(tmp_path)
    shelf.root.mkdir()
    (shelf.root / "installed.json").write_text("{")
    assert shelf.installed() == () and "cannot be read" in caplog.text


def test_a_folder_of_the_home_never_stands_before_the_servers_libraries(tmp_path: Path) -> None:
    mount(tmp_path)
    try:
        assert sys.path[-1] == str(tmp_path)
        mount(tmp_path)
        assert sys.path.count(str(tmp_path)) == 1
    finally:
        unmount(tmp_path)
