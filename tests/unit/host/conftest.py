"""Plugins as somebody would install them: a folder on sys.path with a module and its dist-info."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from enginehouse.host.settings import Settings

Install = Callable[..., str]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", plugin_seconds=0.5)


@pytest.fixture
def install_plugin(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Install]:
    """Installs a plugin from source text; its name back. `requires` are lines of Requires-Dist."""
    site = tmp_path / "site"
    site.mkdir()
    sys.path.insert(0, str(site))
    made: list[str] = []

    def install(name: str, source: str, requires: tuple[str, ...] = (), module: str = "") -> str:
        module = module or f"plugin_{name}_{abs(hash(request.node.nodeid))}"
        (site / f"{module}.py").write_text(dedent(source))
        info = site / f"{module}-1.2.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {module}", "Version: 1.2"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[enginehouse]\n{name} = {module}\n")
        made.append(module)
        return name

    yield install
    sys.path.remove(str(site))
    for module in made:
        sys.modules.pop(module, None)
