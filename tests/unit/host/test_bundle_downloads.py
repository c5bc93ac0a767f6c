"""What pip is told where a bundle's files come from."""

from __future__ import annotations

import pytest

from enginehouse.host.environments.downloading import _variables
from enginehouse.sdk import EnvironmentNeed, PackageIndexes


@pytest.fixture
def need() -> EnvironmentNeed:
    indexes = PackageIndexes(extra_index_url=("https://two.example/simple",), find_links=("/wheels",))
    return EnvironmentNeed(engine="fake", requirements=(), indexes=indexes)


def test_uvs_variables_count_for_pip_too(need: EnvironmentNeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://one.example/simple")
    monkeypatch.setenv("UV_INDEX", "mine=https://three.example/a=b https://four.example/simple?c=d")
    monkeypatch.setenv("UV_FIND_LINKS", "/more, /others")
    monkeypatch.setenv("PIP_INDEX_URL", "https://not.example/simple")
    told = _variables(need)
    assert told["PIP_INDEX_URL"] == "https://one.example/simple"
    assert told["PIP_EXTRA_INDEX_URL"].split() == [
        "https://two.example/simple",
        "https://three.example/a=b",
        "https://four.example/simple?c=d",
    ]
    assert told["PIP_FIND_LINKS"] == "/wheels /more /others"


def test_what_the_need_says_goes_before(need: EnvironmentNeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://one.example/simple")
    own = PackageIndexes(index_url="https://own.example/simple")
    told = _variables(EnvironmentNeed(engine="fake", requirements=(), indexes=own))
    assert told["PIP_INDEX_URL"] == "https://own.example/simple"
