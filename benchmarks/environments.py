"""Environments of the engine `transformers`: found again, made beside one that shares nearly all, and made from a
warm cache against bare uv.

python benchmarks/environments.py [--rounds 5] [--pin torch==2.13.0]

With UV_FIND_LINKS and uv's other settings, where torch comes from elsewhere than PyPI. Fills uv's cache first.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uv
from tables import median, print_machine, print_table

from enginehouse.builtin.uv_lock import pins
from enginehouse.host.contributions import Contributions
from enginehouse.host.environments.needs import KeptLock
from enginehouse.host.environments.provider import Grant, Wish, provide_environment
from enginehouse.host.environments.shelf import Shelf
from enginehouse.host.environments.trees import remove_tree
from enginehouse.host.plugins import load_plugins
from enginehouse.host.settings import Settings
from enginehouse.sdk import EnvironmentNeed

ENGINE, DISTRIBUTION = "transformers", "enginehouse-transformers"
MORE = "iniconfig"  # a package that nothing else needs, of a few kilobytes
LIMIT_FOUND, LIMIT_MADE, LIMIT_BYTES, LIMIT_RATIO = 0.15, 5.0, 5.0, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pin", action="append", default=[])
    arguments = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory(prefix="environments-") as folder:
        asyncio.run(Benchmark(Path(folder), tuple(arguments.pin)).run(arguments.rounds))


class Benchmark:
    """A home of its own; uv's cache is the machine's."""

    def __init__(self, folder: Path, pinned: tuple[str, ...]) -> None:
        self._folder = folder
        self._settings = Settings(home=folder / "home")
        self._settings.home.mkdir()
        self._shelf = Shelf(self._settings.home)
        self._known: Contributions = load_plugins(self._settings).contributions
        engine = next(engine for engine in self._known.engines if engine.name == ENGINE)
        self._needed = (*engine.requirements, *pinned)

    async def run(self, rounds: int) -> None:
        began = time.perf_counter()
        first = await self._provide()
        print(f"  first: {time.perf_counter() - began:.1f} s with whatever had to be downloaded")
        found = [await self._time() for _ in range(rounds)]
        self._report_found(found)
        await self._beside(first)
        await self._against_bare(first, rounds)
        remove_tree(self._shelf.root)

    def _report_found(self, seconds: list[float]) -> None:
        rows = [("found again", *(1000 * one for one in (median(seconds), min(seconds), max(seconds))))]
        print_table(
            f"Environment step of a second launch ({len(seconds)} rounds)", ("", "median ms", "least", "most"), rows
        )
        print(f"  target: at most {1000 * LIMIT_FOUND:g} ms")

    async def _beside(self, first: Grant) -> None:
        before = _inodes(self._shelf.folder(first.environment.digest))
        seconds = await self._time(MORE)
        other = next(one for one in self._shelf.records() if one.digest != first.environment.digest)
        after = _inodes(self._shelf.folder(other.digest))
        new = sum(size for inode, size in after.items() if inode not in before)
        total = sum(before.values())
        rows = [(f"all the same and {MORE}", seconds, total / 1e6, new / 1e6, 100 * new / total)]
        print_table("A second environment", ("", "s", "MB of the first", "MB more on disk", "%"), rows)
        print(f"  target: at most {LIMIT_MADE:g} s and {LIMIT_BYTES:g}% more, each file counted once")

    async def _against_bare(self, first: Grant, rounds: int) -> None:
        assert first.kept and first.made
        bare, kept, resolved = [], [], []
        for _ in range(rounds):
            self._clear()
            bare.append(self._bare(first.kept))
            self._clear()
            kept.append(await self._time(kept=first.kept))
            self._clear()
            resolved.append(await self._time())
        rows = [
            ("uv venv and uv pip sync", median(bare), min(bare), 1.0),
            _row("an environment of a known lock", kept, bare),
            _row("resolved first", resolved, bare),
        ]
        packages = len(first.kept.lock.packages)
        print_table(
            f"{packages} packages from a warm cache ({rounds} rounds)", ("", "median s", "least s", "times bare"), rows
        )
        print(f"  target: a known lock at most {LIMIT_RATIO}x")

    def _bare(self, kept: KeptLock) -> float:
        folder, lines = self._folder / "bare", self._folder / "requirements.txt"
        lines.write_text("".join(f"{pins(package)}\n" for package in kept.lock.packages))
        began = time.perf_counter()
        for words in (("venv", str(folder)), ("pip", "sync", "--require-hashes", str(lines))):
            subprocess.run(
                [uv.find_uv_bin(), *words, "--no-config", "--quiet", "--python", _python(words, folder)], check=True
            )
        seconds = time.perf_counter() - began
        remove_tree(folder)
        return seconds

    def _clear(self) -> None:
        remove_tree(self._shelf.root)
        os.sync()  # what was removed is not written while the next is measured

    async def _time(self, *more: str, kept: KeptLock | None = None) -> float:
        began = time.perf_counter()
        await self._provide(*more, kept=kept)
        return time.perf_counter() - began

    async def _provide(self, *more: str, kept: KeptLock | None = None) -> Grant:
        need = EnvironmentNeed(
            engine=ENGINE, requirements=(*self._needed, *more), provisioner="uv", carried=(DISTRIBUTION,)
        )
        wish = Wish(need=need, asked_by="benchmark", since=time.time(), kept=kept)
        return await provide_environment(wish, self._known, self._settings, lambda step: None)


def _row(name: str, seconds: list[float], bare: list[float]) -> tuple[object, ...]:
    return name, median(seconds), min(seconds), median(a / b for a, b in zip(seconds, bare, strict=True))


def _python(words: tuple[str, ...], folder: Path) -> str:
    return sys.executable if words[0] == "venv" else str(folder / "bin" / "python")


def _inodes(folder: Path) -> dict[int, int]:
    """Bytes on disk of each file and folder, by inode."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            status = Path(place, name).lstat()
            found[status.st_ino] = status.st_blocks * 512
    return found


if __name__ == "__main__":
    main()
