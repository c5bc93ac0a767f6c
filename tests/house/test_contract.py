"""No hook without a shipped user, a test named after it, and a heading with its exact signature in the reference."""

import inspect
import re
from pathlib import Path

import pytest

from enginehouse.host.contributions import NOUNS
from enginehouse.sdk import hooks

ROOT = Path(__file__).parents[2]
HOOKS = [name for name in vars(hooks) if name.startswith("enginehouse_")]
SHIPPED = [ROOT / "core/src/enginehouse/builtin/plugin.py", *ROOT.glob("plugins/*/src/*/plugin.py")]


def test_there_are_hooks() -> None:
    assert len(HOOKS) >= 7
    assert set(NOUNS) <= set(HOOKS)


@pytest.mark.parametrize("plugin", SHIPPED, ids=lambda file: file.parent.name)
def test_each_shipped_plugin_says_what_it_asks_for(plugin: Path) -> None:
    assert re.search(r"^ASKS = Asks\(", plugin.read_text(), re.M), "say it, also where it is nothing: Asks()"


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_has_a_shipped_user(hook: str) -> None:
    assert any(f"def {hook}(" in file.read_text() for file in SHIPPED)


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_has_a_test_named_after_it(hook: str) -> None:
    assert f"def test_{hook}(" in (ROOT / "tests/unit/sdk/test_hooks.py").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_has_a_heading_with_its_signature(hook: str) -> None:
    arguments = ", ".join(inspect.signature(getattr(hooks, hook)).parameters)
    assert f"\n## `{hook}({arguments})`\n" in (ROOT / "docs/reference/hooks.md").read_text()


def test_the_reference_names_no_hook_that_is_gone() -> None:
    headings = re.findall(r"^## `(enginehouse_\w+)\(", (ROOT / "docs/reference/hooks.md").read_text(), re.M)
    assert sorted(headings) == sorted(HOOKS)
