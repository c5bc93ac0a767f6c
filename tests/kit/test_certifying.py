"""The conformance kit finds what is right and what is wrong, and says so."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from enginehouse.host.certificates import (
    Certificate,
    files_digest,
    package_of,
    sealed,
    view_certificate,
    write_certificate,
)
from enginehouse.host.plugins import PluginRecord
from enginehouse.sdk import BadRequest
from enginehouse.testing.certifying import DECLARED, RUNNING, Finding, Order, certify
from enginehouse.testing.checks.parts import PARTS
from enginehouse.testing.houses import keepers_of
from enginehouse.testing.reports import level_of
from enginehouse.testing.waiting import wait_for


@pytest.fixture(scope="module")
def gold() -> Finding:
    """All checks, on the simulated engine."""
    return certify(Order(plugin="fake_engine"))


def test_the_simulated_engine_holds_gold(gold: Finding) -> None:
    assert [result.tell() for result in gold.failed] == []
    assert gold.certificate.level == "gold" and gold.certificate.whole
    assert gold.certificate.passed > 120


def test_checks_are_many_and_named_once() -> None:
    names = [check.name for check in (*DECLARED, *RUNNING, *PARTS)]
    assert len(names) == len(set(names)) and len(DECLARED) + len(RUNNING) >= 140
    assert {check.level for check in RUNNING} == {"bronze", "silver", "gold"}


BROKEN: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"refuse": True}, ("worker.answers", "completions.has_text", "gateway.answers_are_the_same")),
    ({"crash_at_token": 2}, ("worker.answers", "completions.greedy_repeats")),
]


@pytest.mark.parametrize(("options", "names"), BROKEN, ids=["refuses", "crashes"])
def test_an_engine_that_is_broken_gets_no_level(options: dict[str, Any], names: tuple[str, ...]) -> None:
    order = Order(plugin="fake_engine", options=options, level="bronze", only=("worker.health_is_ready", *names))
    finding = certify(order)
    failed = {result.check.name: result for result in finding.failed}
    assert set(names) == failed.keys() and finding.certificate.level is None
    told = failed[names[0]].tell()
    for word in ("sent", "came", "expected", "docs/reference/conformance.md"):
        assert word in told
    assert not finding.certificate.whole


def test_a_plugin_that_is_not_there_is_named() -> None:
    with pytest.raises(BadRequest, match=r"no plugin 'nobody'.*fake_engine"):
        certify(Order(plugin="nobody"))


def test_plugins_without_engines_are_checked_by_what_they_bring() -> None:
    finding = certify(Order(plugin="builtin"))
    kinds = {subject.kind for subject in finding.certificate.subjects}
    assert {"families", "parsers", "sources", "provisioners", "model_types"} <= kinds
    assert [result.tell() for result in finding.failed] == []


def test_the_level_is_the_highest_that_nothing_below_forbids(gold: Finding) -> None:
    results = list(gold.results[-1])
    bronze, silver = (next(one for one in results if one.check.level == level) for level in ("bronze", "silver"))
    assert level_of(results) == "gold" and level_of([]) is None
    assert level_of([*results, silver._replace(state="failed")]) == "bronze"
    assert level_of([*results, bronze._replace(state="failed")]) is None


# What is seen of a certificate


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed plugin of one file."""
    folder = tmp_path / "site" / "kit_sample"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "plugin.py").write_text("")
    info = tmp_path / "site" / "kit_sample-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kit-sample\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enginehouse]\nkit_sample = kit_sample.plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield folder
    sys.modules.pop("kit_sample", None)


RECORD = PluginRecord(name="kit_sample", state="loaded", distribution="kit-sample", version="1.0")


def _certificate(gold: Finding, package: Path) -> Certificate:
    about = {"plugin": "kit_sample", "distribution": "kit-sample", "version": "1.0", "files": files_digest(package)}
    return sealed(msgspec.structs.replace(gold.certificate, **about))


def test_a_certificate_in_the_package_or_the_home_is_valid(gold: Finding, package: Path, tmp_path: Path) -> None:
    assert view_certificate(RECORD, tmp_path) is None
    write_certificate(_certificate(gold, package), package / "certificate.json")
    seen = view_certificate(RECORD, tmp_path)
    assert seen is not None and (seen.standing, seen.level, seen.failed) == ("valid", "gold", ())
    shutil.move(package / "certificate.json", _folder(tmp_path) / "kit_sample.json")
    seen = view_certificate(RECORD, tmp_path)
    assert seen is not None and seen.standing == "valid" and seen.passed == gold.certificate.passed


def _folder(home: Path) -> Path:
    (home / "certificates").mkdir(exist_ok=True)
    return home / "certificates"


ALTERED = {
    "level": "altered",
    "counts": "altered",
    "plugin": "changed",
    "version": "other version",
    "json": "unreadable",
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_is_not_trusted(what: str, gold: Finding, package: Path, tmp_path: Path) -> None:
    file = package / "certificate.json"
    write_certificate(_certificate(gold, package), file)
    record = RECORD
    if what == "level":
        file.write_text(re.sub('"level": "gold"', '"level": "silver"', file.read_text()))
    elif what == "counts":
        document = json.loads(file.read_text())
        document["subjects"][0]["passed"] += 1
        file.write_text(json.dumps(document))
    elif what == "plugin":
        (package / "plugin.py").write_text("changed = True\n")
    elif what == "version":
        record = msgspec.structs.replace(RECORD, version="1.1")
    else:
        file.write_text("{")
    seen = view_certificate(record, tmp_path)
    assert seen is not None and (seen.standing, seen.level) == (ALTERED[what], None)
    assert seen.reason


def test_bytecode_and_the_certificate_itself_are_no_change(package: Path) -> None:
    before = files_digest(package)
    (package / "certificate.json").write_text("{}")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "plugin.pyc").write_bytes(b"1")
    assert files_digest(package) == before
    (package / "new.py").write_text("")
    assert files_digest(package) != before
    assert package_of("kit_sample.plugin") == package and package_of("no_such_package") is None


def test_the_server_and_the_command_line_show_it(gold: Finding, new_house: Any) -> None:
    house = new_house()
    write_certificate(gold.certificate, house.home / "certificates" / "fake_engine.json")
    shown = {one["name"]: one["certificate"] for one in house.client.get("/v1/plugins").json()["plugins"]}
    assert (shown["fake_engine"]["level"], shown["builtin"]) == ("gold", None)
    assert re.search(r"fake_engine +\S+ +loaded +gold", house.cli("plugins", "list").stdout)
    (house.home / "certificates" / "fake_engine.json").write_text("{}")
    assert re.search(r"fake_engine +\S+ +loaded +unreadable", house.cli("plugins", "list").stdout)


def test_the_command_line_says_what_failed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "enginehouse.cli", "certify", "builtin", "--only", "parts"]
    variables = {**os.environ, "ENGINEHOUSE_HOME": str(tmp_path)}
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables, check=False)
    assert run.returncode == 0, run.stderr
    assert re.match(r"builtin \S+: gold in what was looked at \(\d+ passed, 0 failed, \d+ unclear\)", run.stdout)
    assert "Not every check was run" in run.stderr and not (tmp_path / "certificates").exists()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for sockets in it, wherever the tests' own lie."""
    with tempfile.TemporaryDirectory(prefix="eh-", dir="/tmp") as folder:
        yield Path(folder)


def test_a_certification_that_is_ended_leaves_nothing(short_path: Path) -> None:
    command = [sys.executable, "-m", "enginehouse.cli", "certify", "fake_engine"]
    variables = {**os.environ, "TMPDIR": str(short_path), "ENGINEHOUSE_HOME": str(short_path / "home")}
    run = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith("engine fake"):
            break
    (home,) = short_path.glob("eh-*/*/h")
    assert wait_for(lambda: keepers_of(home), what="a worker's keeper")
    run.terminate()
    assert run.wait(60) == 143
    run.stderr.close()
    assert not home.exists() and not keepers_of(home)
