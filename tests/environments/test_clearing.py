"""What nobody refers to is removed, what somebody does stays; and files that changed are found."""

from __future__ import annotations

import os
import shutil
import time

import msgspec

from enginehouse.host.environments.cargo import load_cargo
from enginehouse.host.environments.collection import collect, references
from enginehouse.host.environments.holding import sweep, workspace
from enginehouse.host.environments.inspection import verify
from enginehouse.host.launch_request import LaunchRequest
from enginehouse.host.store import Declared

LONG_AGO = time.time() - 10 * 86400


def age(bench, *digests: str) -> None:
    for digest in digests:
        os.utime(bench.shelf.folder(digest) / "environment.json", (LONG_AGO, LONG_AGO))
        os.utime(bench.shelf.python(digest).parent, (LONG_AGO, LONG_AGO))
    for folder in bench.shelf.carried.iterdir():
        os.utime(folder, (LONG_AGO, LONG_AGO))


async def test_only_what_nobody_refers_to_is_removed(bench, tmp_path) -> None:
    declared = await bench.provide(bench.need("alpha"))
    bench.shop.stock("gamma")
    running = await bench.provide(bench.need("gamma"))
    idle = await bench.provide(bench.need("alpha", "gamma"))
    mine = [one.environment.digest for one in (declared, running, idle)]
    for digest in mine:
        (bench.shelf.bytecode / digest).mkdir(parents=True)
    (bench.shelf.bytecode / ("0" * 40)).mkdir()  # of an environment that went before
    os.utime(bench.shelf.bytecode / ("0" * 40), (LONG_AGO, LONG_AGO))
    age(bench, *mine)
    workers = tmp_path / "workers"
    (workers / "one").mkdir(parents=True)
    order = {"argv": [running.environment.python], "environment": running.environment.variables}
    (workers / "one" / "order.json").write_bytes(msgspec.json.encode(order))
    deployment = Declared(uid="a", request=LaunchRequest(model_name="fake-model"), environment=declared.kept)
    referred = references([deployment], workers)
    assert collect(bench.shelf, referred, keep_days=30).environments == ()
    foreseen = collect(bench.shelf, referred, dry_run=True)
    assert len(bench.environments()) == 3
    done = collect(bench.shelf, referred)
    assert done.environments == foreseen.environments == (mine[2],)
    assert set(done.bytecode) == {mine[2], "0" * 40}
    assert done.carried == ()  # the running worker's is the one folder that there is
    assert set(bench.environments()) == set(mine[:2]) and bench.leftovers() == []
    shutil.rmtree(workers)
    assert len(collect(bench.shelf, references([], workers)).carried) == 1
    assert bench.environments() == []


async def test_what_was_just_granted_stays(bench) -> None:
    """A worker's order with it may be written at this moment."""
    await bench.provide(bench.need("alpha"))
    assert collect(bench.shelf, frozenset()).environments == () and len(bench.environments()) == 1


def test_only_the_work_of_the_dead_is_swept(bench) -> None:
    with workspace(bench.shelf) as mine:
        (mine / "file").write_text("half")
        dead = bench.shelf.root / ".building-0123456789ab"
        (dead / "sealed").mkdir(parents=True)
        (dead / "sealed").chmod(0o500)
        (bench.shelf.root / ".removing-0123456789ab").mkdir()
        assert sweep(bench.shelf) == 2
        assert mine.is_dir() and not dead.exists()
    assert bench.leftovers() == []


async def test_what_path_files_import_leaves_no_bytecode(bench) -> None:
    """As setuptools does: a .pth file that imports when the interpreter starts."""
    bench.shop.stock("hooked", more={"hooked.pth": "import hooked\n"})
    grant = await bench.provide(bench.need("hooked"))
    record = bench.shelf.find(grant.environment.digest)
    assert verify(bench.shelf, record) == []


async def test_verify_names_each_file_that_differs(bench) -> None:
    grant = await bench.provide(bench.need("alpha"))
    record = bench.shelf.find(grant.environment.digest)
    assert verify(bench.shelf, record) == []
    folder = bench.shelf.folder(record.digest)
    site = next(folder.glob("lib/python*/site-packages"))
    site.chmod(0o755)
    (site / "alpha.py").unlink()
    (site / "beta.py").unlink()
    (site / "beta.py").write_text("changed = True\n")
    (site / "gamma.py").write_text("")
    changed = next(site.glob("beta-*.dist-info"))
    changed.chmod(0o755)
    (changed / "RECORD").chmod(0o644)
    (changed / "RECORD").write_text((changed / "RECORD").read_text() + "more.py,,\n")
    found = {one.file.rpartition("/")[2]: one.what for one in verify(bench.shelf, record)}
    assert found == {
        "alpha.py": "missing",
        "beta.py": "changed",
        "gamma.py": "added",
        "RECORD": "record changed",
        "more.py": "missing",
    }


def test_carried_code_is_the_workers_share_and_named_by_its_content(bench) -> None:
    first = load_cargo(("enginehouse-fake-engine",), bench.shelf)
    assert load_cargo(("enginehouse-fake-engine",), bench.shelf) == first
    assert load_cargo((), bench.shelf).folder != first.folder
    inside = {path.name for path in (first.folder / "enginehouse").iterdir()}
    assert inside == {"__init__.py", "py.typed", "sdk", "runner", "builtin"} & inside
    assert {"sdk", "runner", "builtin"} <= inside and not inside & {"host", "server", "cli", "client"}
    assert (first.folder / "enginehouse" / "builtin" / "parsers").is_dir()
    assert not (first.folder / "enginehouse" / "builtin" / "uv_environment.py").exists()
    assert (first.folder / "enginehouse_fake" / "engine.py").is_file()
    assert (first.folder / "enginehouse_fake" / "model" / "config.json").is_file()
    folders = [path for path in first.folder.rglob("*") if path.is_dir()]
    assert all(path.stat().st_mode & 0o222 == 0 for path in folders)
    assert any(one.startswith("msgspec") for one in first.requirements)
