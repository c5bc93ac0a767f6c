"""Which launcher a name means, and that nothing of one is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enginehouse.host.launchers import all_launchers, find_launcher
from enginehouse.host.options import check_options
from enginehouse.sdk import BadRequest, EngineSpec, InvalidSpec, LauncherSpec, Options, gather_rest, is_open

OURS = (LauncherSpec(name="yolo", launcher="ours.yolo:launcher", aliases=("x.model.yolo",), requirements=("u>=8",)),)


@pytest.fixture
def lone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a distribution on the path that names launchers and no plugin."""

    def install(entries: str) -> None:
        info = tmp_path / "lone_launcher-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lone-launcher\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[enginehouse.launchers]\n{entries}\n")

    monkeypatch.syspath_prepend(str(tmp_path))
    return install


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("yolo", "ours.yolo:launcher"),
        ("x.model.yolo", "ours.yolo:launcher"),
        ("mine.models.make", "mine.models:make"),
        ("mine.models:make", "mine.models:make"),
    ],
)
def test_a_name_an_alias_or_a_path(name: str, target: str) -> None:
    assert find_launcher(name, OURS).launcher == target


def test_a_lone_launcher_is_found_with_its_distribution_and_not_imported(lone: Callable[[str], None]) -> None:
    lone("stars = no_such_module.stars:make\nyolo = theirs:launcher\nodd = not a target")
    found = find_launcher("stars", OURS)
    assert (found.launcher, found.distribution) == ("no_such_module.stars:make", "lone-launcher")
    named = {each.name: each.launcher for each in all_launchers(OURS)}
    assert named["yolo"] == "ours.yolo:launcher" and "odd" not in named
    assert "no_such_module" not in sys.modules


@pytest.mark.parametrize("name", ["yola", "", "two words", "a..b", ".a", "a.b:", "1.2"])
def test_a_name_that_means_nothing_is_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(BadRequest, match="Known: yolo") as refused:
        find_launcher(name, OURS)
    assert refused.value.param == "launcher"


@pytest.mark.parametrize("fields", [{"name": ""}, {"launcher": "dotted.only"}, {"launcher": "a:b.c"}])
def test_an_impossible_launcher_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec):
        LauncherSpec(**{"name": "n", "launcher": "a:b", **fields})


class Open(Options, frozen=True, kw_only=True):
    size: int = 1
    rest: dict[str, object] = {}  # noqa: RUF012 - a struct copies it


class Closed(Options, frozen=True, kw_only=True):
    size: int = 1


def test_open_options_keep_what_they_do_not_name() -> None:
    engine = EngineSpec(name="e", tasks=("generate",), formats=("x",), engine="a:B", options=Open)
    assert check_options(engine, {"size": "2", "colour": "red"}) == {"size": 2, "rest": {"colour": "red"}}
    assert check_options(engine, {}) == {"rest": {}}
    assert is_open(Open) and not is_open(Closed) and not is_open(dict)
    assert gather_rest({"a": 1}, Closed) == {"a": 1}
