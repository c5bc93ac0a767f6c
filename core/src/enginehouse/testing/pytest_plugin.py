"""Fixtures for tests of plugins. pytest loads this module beside every installed core, and so it imports late."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .houses import House
    from .workers import KeptWorker

# ruff: noqa: PLC0415


@pytest.fixture
def new_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """`new_house(site=(folder, ...), **variables)`: a running server; ended with all its workers after the test."""
    from .houses import House

    made: list[House] = []

    def make(*, site: tuple[Path, ...] = (), **variables: str) -> House:
        home = tmp_path / f"house{len(made)}" / "h"
        home.parent.mkdir()
        made.append(House(home, site=site, **variables))
        return made[-1].start()

    yield make
    for house in made:
        house.end()


@pytest.fixture
def house(new_house: Callable[..., House]) -> House:
    """A running server with the plugins that are installed here."""
    return new_house()


@pytest.fixture
def simulated_worker() -> Iterator[Callable[..., KeptWorker]]:
    """`simulated_worker(tokens=5, crash_at_token=3)`: a real worker whose engine follows a script.

    The script's fields are the options of the engine `fake`: pauses, lengths, texts, crashes, memory that runs out.
    `order` holds fields of `RunnerOrder`. The worker is ready when it is returned, unless `wait` is false.
    """
    from .workers import KeptWorker, simulated_order

    made: list[KeptWorker] = []

    def begin(*, order: dict[str, Any] | None = None, wait: bool = True, **script: Any) -> KeptWorker:
        folder = Path(tempfile.mkdtemp(prefix="eh-"))  # short: a socket's path has a limit
        made.append(KeptWorker(simulated_order(folder, script, **(order or {}))))
        made[-1].claim()
        return made[-1].ready() if wait else made[-1]

    yield begin
    for worker in made:
        worker.end()
        shutil.rmtree(worker.folder, ignore_errors=True)


@pytest.fixture
def ask_engine() -> Callable[..., Any]:
    """`await ask_engine(engine, prompt, **sampling)`: an `Answer`; see `enginehouse.testing.asking.ask`."""
    from .asking import ask

    return ask
