"""Environments of tiny wheels, made by the real uv in real processes, without a network.

What the carried code requires (msgspec, uvicorn, ...) is in the shop as empty wheels too: these environments are
built and looked at, no worker runs in them. Those in which one runs are in tests/end_to_end.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest
from packaging.requirements import Requirement

from enginehouse.host.contributions import Contributions
from enginehouse.host.environments.distributions import bill_of
from enginehouse.host.environments.needs import KeptLock
from enginehouse.host.environments.provider import Grant, Wish, provide_environment
from enginehouse.host.environments.shelf import Shelf
from enginehouse.host.plugins import load_plugins
from enginehouse.host.settings import Settings
from enginehouse.sdk import EnvironmentNeed, PackageIndexes, Step

BUILD_SECONDS = 60.0  # a build takes half a second; beside seven busy neighbours longer


class Shop:
    """A folder of wheels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def stock(
        self,
        name: str,
        version: str = "1.0",
        requires: tuple[str, ...] = (),
        body: str = "",
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Path:
        """Puts a wheel with one module, and files beside it, into the folder, in the place of one of the same name
        and version."""
        info = f"{name}-{version}.dist-info"
        lines = "".join(f"Requires-Dist: {one}\n" for one in requires)
        files = {
            **more,
            f"{name}.py": body or f"version = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{info}/RECORD"] = "".join(_record(path, text) for path, text in files.items()) + f"{info}/RECORD,,\n"
        wheel = self.folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        return wheel


def _record(path: str, text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(text)}\n"


class Bench:
    """A home, a shop and what asks for environments there."""

    def __init__(self, settings: Settings, shop: Shop, contributions: Contributions) -> None:
        self.settings = settings
        self.shop = shop
        self.contributions = contributions
        self.shelf = Shelf(settings.home)
        self.steps: list[Step] = []

    def need(self, *requirements: str, **fields: object) -> EnvironmentNeed:
        values: dict[str, object] = {
            "engine": "fake",
            "provisioner": "uv",
            "requirements": requirements,
            "indexes": PackageIndexes(no_index=True, find_links=(str(self.shop.folder),)),
            **fields,
        }
        return EnvironmentNeed(**values)  # type: ignore[arg-type]

    async def provide(self, need: EnvironmentNeed, since: float | None = None, kept: KeptLock | None = None) -> Grant:
        since = time.time() if since is None else since
        wish = Wish(need=need, asked_by="model", since=since, kept=kept)
        async with asyncio.timeout(BUILD_SECONDS):
            return await provide_environment(wish, self.contributions, self.settings, self.steps.append)

    def with_settings(self, **fields: object) -> Bench:
        return Bench(msgspec.structs.replace(self.settings, **fields), self.shop, self.contributions)

    def environments(self) -> list[str]:
        return [record.digest for record in self.shelf.records()]

    def leftovers(self) -> list[str]:
        """Half environments and locks of processes that are gone."""
        folders = [path.name for path in self.shelf.root.glob(".*")]
        return folders + [path.name for path in self.shelf.held.glob("*") if len(path.name) == 12]


@pytest.fixture(scope="session")
def contributions(tmp_path_factory: pytest.TempPathFactory) -> Contributions:
    return load_plugins(Settings(home=tmp_path_factory.mktemp("plugins"))).contributions


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture
def bench(tmp_path: Path, contributions: Contributions, uv_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(uv_cache))
    shop = Shop(tmp_path / "shop")
    for requirement in bill_of(("enginehouse-fake-engine",)).requirements:
        shop.stock(Requirement(requirement).name, "99")
    shop.stock("beta")
    shop.stock("alpha", requires=("beta",))
    settings = Settings(home=tmp_path / "home", environment_reserve_bytes=0)
    settings.home.mkdir()
    return Bench(settings, shop, contributions)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits for a condition, on the event loop."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(BUILD_SECONDS):
            while not condition():
                await asyncio.sleep(0.01)

    return wait
