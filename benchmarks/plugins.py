"""What a hundred installed plugins add to the server's start, and how soon one that is installed into it can be used.

python benchmarks/plugins.py [--rounds 7] [--plugins 100]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from house import House, environment, served
from tables import median, print_machine, print_table

CORE = "enginehouse-core"
LIMITS = {"discovery": 150.0, "install": 2000.0}
LOADER = """\
import time
from enginehouse.host.plugins import load_plugins
from enginehouse.host.settings import settings_from
settings = settings_from()
work, wall = time.process_time(), time.perf_counter()
load_plugins(settings)
print(time.process_time() - work, time.perf_counter() - wall)
"""
LIGHT_HALF = """\
from enginehouse.sdk import EngineSpec, ModelFamily, Variant, hookimpl

VARIANT = Variant(format="pytorch", size_in_billions="1", sources=("file:/nowhere",))


@hookimpl
def enginehouse_engines():
    return [EngineSpec(name="{name}", tasks=("generate",), formats=("pytorch",), engine="{name}.engine:Engine")]


@hookimpl
def enginehouse_families():
    return [ModelFamily(name="{name}", model_type="LLM", variants=(VARIANT,), abilities=("generate",))]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plugins", type=int, default=100)
    given = parser.parse_args()
    print_machine()
    with TemporaryDirectory(prefix="enginehouse-plugins-") as folder:
        _measure_discovery(Path(folder), given.plugins, given.rounds)
        _measure_loader(Path(folder), given.plugins, given.rounds)
        _measure_install(Path(folder), given.rounds)


def _measure_discovery(folder: Path, plugins: int, rounds: int) -> None:
    """Starts with and without the plugins, in turns."""
    site = folder / "site"
    for number in range(plugins):
        for name, text in _files(f"dummy_{number:03}", "1.0").items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(text)
    starts: dict[bool, list[float]] = {False: [], True: []}
    for round_ in range(rounds + 1):
        for many in (False, True):
            with served(**({"PYTHONPATH": str(site)} if many else {})) as house:
                if round_:  # the first compiles what is not compiled yet
                    starts[many].append(house.started * 1e3)
                assert not many or len(_engines(house)) >= plugins
    added = [after - before for before, after in zip(*starts.values(), strict=True)]
    rows = [
        ("start without them, ms", median(starts[False]), min(starts[False]), max(starts[False]), ""),
        (f"start with {plugins} more plugins, ms", median(starts[True]), min(starts[True]), max(starts[True]), ""),
        ("added, ms", median(added), min(added), max(added), LIMITS["discovery"]),
    ]
    print_table(f"Discovery ({rounds} starts of each, in turns)", ("", "median", "least", "most", "target"), rows)


def _measure_loader(folder: Path, plugins: int, rounds: int) -> None:
    """The loader alone, in processes of their own, in turns: its CPU time says the same on a busy machine."""
    took: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for _ in range(rounds):
        for many in (False, True):
            more = {"PYTHONPATH": str(folder / "site")} if many else {}
            variables = environment(ENGINEHOUSE_HOME=str(folder / "home"), **more)
            ran = subprocess.run(
                [sys.executable, "-c", LOADER], env=variables, check=True, capture_output=True, text=True
            )
            work, wall = map(float, ran.stdout.split())
            took[many].append((work * 1e3, wall * 1e3))
    rows = []
    for index, name in enumerate(("CPU time", "time")):
        without, with_ = ([one[index] for one in took[many]] for many in (False, True))
        added = median(with_) - median(without)
        rows.append(
            (f"{name} without / with {plugins} more, ms", median(without), median(with_), added, LIMITS["discovery"])
        )
    print_table(f"The loader alone ({rounds} times each)", ("", "without", "with", "added", "target"), rows)


def _measure_install(folder: Path, rounds: int) -> None:
    """From the first request to the answer that lists its engine."""
    examined, installed, usable, removed = [], [], [], []
    with served() as house:
        for number in range(rounds + 1):
            wheel = _wheel(folder, "fresh", f"1.{number}")
            began = time.perf_counter()
            body = {"source": str(wheel), "no_index": True}
            digest = house.ask("POST", "/v1/plugin_examinations", body)["digest"]
            looked = time.perf_counter()
            house.ask("POST", "/v1/plugins", {"digest": digest})
            put = time.perf_counter()
            assert "fresh" in _engines(house)
            listed = time.perf_counter()
            house.ask("DELETE", "/v1/plugins/fresh")
            gone = time.perf_counter()
            if number:
                examined.append((looked - began) * 1e3)
                installed.append((put - looked) * 1e3)
                usable.append((listed - began) * 1e3)
                removed.append((gone - listed) * 1e3)
    rows = [
        ("examine: fetch, build nothing, look at it beside, ms", median(examined), min(examined), max(examined), ""),
        ("install, ms", median(installed), min(installed), max(installed), ""),
        ("from nothing to usable, ms", median(usable), min(usable), max(usable), LIMITS["install"]),
        ("remove, ms", median(removed), min(removed), max(removed), ""),
    ]
    print_table(f"Hot install of a light plugin ({rounds} times)", ("", "median", "least", "most", "target"), rows)


def _engines(house: House) -> list[str]:
    return [engine["name"] for engine in house.ask("GET", "/v1/engines")["engines"]]


def _files(name: str, version: str) -> dict[str, str]:
    info = f"{name}-{version}.dist-info"
    return {
        f"{name}/__init__.py": "",
        f"{name}/plugin.py": LIGHT_HALF.format(name=name),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {CORE}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: benchmark\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[enginehouse]\n{name} = {name}.plugin\n",
    }


def _wheel(folder: Path, name: str, version: str) -> Path:
    files = _files(name, version)
    record = f"{name}-{version}.dist-info/RECORD"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        for path, text in {**files, record: "".join(f"{path},,\n" for path in (*files, record))}.items():
            packed.writestr(path, text)
    return wheel


if __name__ == "__main__":
    main()
