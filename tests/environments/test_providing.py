"""What a need comes to: made once, found again, another for another need, and clear words where it cannot be made."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import msgspec
import pytest

from enginehouse.host.environments.needs import recall_failure, recall_lock
from enginehouse.host.environments.provider import with_requirements
from enginehouse.host.environments.shelf import digest_of
from enginehouse.host.environments.trees import remove_tree
from enginehouse.sdk import EnginehouseError, Environment, LaunchFailed, PackageIndexes


def names(grant) -> set[str]:
    return {package.name for package in grant.kept.lock.packages}


def run(environment: Environment, program: str) -> str:
    """What a program prints in an environment, as a worker would run it."""
    words = [environment.python, "-P", "-c", program]
    return subprocess.run(
        words, env={**os.environ, **environment.variables}, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


async def test_who_needs_the_same_shares_one_environment(bench) -> None:
    first, second = await asyncio.gather(bench.provide(bench.need("alpha")), bench.provide(bench.need("alpha")))
    assert first.environment == second.environment
    again = await bench.provide(bench.need("alpha"))
    assert again.made is None and again.environment == first.environment
    assert bench.environments() == [first.environment.digest] and bench.leftovers() == []
    assert {"alpha", "beta", "msgspec"} <= names(first)
    assert all(one.hashes and one.hashes[0].startswith("sha256:") for one in first.kept.lock.packages)
    assert run(first.environment, "import alpha; print(alpha.version)") == "1.0"
    phases = [step.phase for step in bench.steps]
    assert phases.index("resolve") < phases.index("download") < phases.index("check")


async def test_another_need_makes_another_environment_and_the_old_one_stays(bench) -> None:
    old = await bench.provide(bench.need("alpha"))
    bench.shop.stock("gamma")
    new = await bench.provide(bench.need("alpha", "gamma"))
    assert old.environment.digest != new.environment.digest
    assert set(bench.environments()) == {old.environment.digest, new.environment.digest}
    assert new.made and new.made.own_bytes < new.made.size_bytes


async def test_the_same_need_comes_to_the_same_lock_although_the_index_moved_on(bench) -> None:
    first = await bench.provide(bench.need("alpha"))
    bench.shop.stock("alpha", "2.0")
    assert (await bench.provide(bench.need("alpha"))).kept == first.kept


async def test_a_deployment_comes_back_with_its_own_lock(bench) -> None:
    """Next year: the index moved on, the environment and what was remembered are gone, the deployment's lock is not."""
    first = await bench.provide(bench.need("alpha"))
    bench.shop.stock("alpha", "2.0")
    remove_tree(bench.shelf.root)
    again = await bench.provide(bench.need("alpha"), kept=first.kept)
    assert again.made and again.environment.digest == first.environment.digest
    assert run(again.environment, "import alpha; print(alpha.version)") == "1.0"
    remove_tree(bench.shelf.root)
    anew = await bench.provide(bench.need("alpha>1"), kept=first.kept)  # it needs something else now
    assert run(anew.environment, "import alpha; print(alpha.version)") == "2.0"


async def test_a_deployment_keeps_its_lock_while_that_does(bench) -> None:
    """An upgrade of ours that asks for what is there already brings nothing new; one that asks for more does."""
    first = await bench.provide(bench.need("alpha"))
    bench.shop.stock("alpha", "2.0")
    for same in (("alpha", "beta"), ("alpha>=1", "beta<9"), ("alpha", "gamma; sys_platform == 'win32'")):
        again = await bench.provide(bench.need(*same), kept=first.kept)
        assert again.environment.digest == first.environment.digest and again.kept.lock == first.kept.lock
    for other in (
        bench.need("alpha>=2"),
        bench.need("alpha", exclusions=("beta",)),
        bench.need("alpha", overrides=("alpha==2.0",)),
        bench.need("alpha", accelerator="cuda"),
    ):
        assert (await bench.provide(other, kept=first.kept)).environment.digest != first.environment.digest


async def test_an_environment_is_sealed(bench, tmp_path, monkeypatch) -> None:
    """Nothing of the server's packages, of this user's, of PYTHONPATH or of PYTHONHOME is seen in it."""
    environment = (await bench.provide(bench.need("alpha", carried=("enginehouse-fake-engine",)))).environment
    (tmp_path / "leak").mkdir()
    (tmp_path / "leak" / "leaked.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "leak"))
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "leak"))
    program = """
import importlib.util, json, site, sys, sysconfig
found = [name for name in ("fastapi", "sqlalchemy", "pytest", "leaked", "enginehouse.host", "enginehouse.server",
         "enginehouse.cli", "enginehouse.client") if _there(name)]
print(json.dumps([found, [_there("enginehouse_fake.engine"), _there("enginehouse.runner"), _there("alpha")],
      sys.path, sys.pycache_prefix, site.ENABLE_USER_SITE]))
"""
    there = """
def _there(name):
    import importlib.util
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
"""
    # enginehouse.host would be looked for in the package enginehouse, which imports nothing
    found, carried, path, bytecode, user = json.loads(run(environment, there + program))
    assert found == [] and carried == [True, True, True] and user is False
    server = Path(sys.prefix)
    assert not any(Path(one).is_relative_to(server) for one in path)
    assert Path(bytecode) == bench.shelf.bytecode / environment.digest
    assert list(Path(environment.python).parents[1].rglob("__pycache__")) == []
    assert environment.variables["PATH"].startswith(str(Path(environment.python).parent))


async def test_nothing_can_be_put_into_an_environment(bench) -> None:
    """Looked at by modes: this user may be root, for whom they do not hold."""
    digest = (await bench.provide(bench.need("alpha"))).environment.digest
    folders = [path for path in bench.shelf.folder(digest).rglob("*") if path.is_dir() and not path.is_symlink()]
    assert folders and all(path.stat().st_mode & 0o222 == 0 for path in folders)


async def test_overrides_and_exclusions(bench) -> None:
    bench.shop.stock("beta", "0.5")
    assert "beta" not in names(await bench.provide(bench.need("alpha", exclusions=("beta",))))
    grant = await bench.provide(bench.need("alpha", overrides=("beta==0.5",)))
    assert run(grant.environment, "import beta; print(beta.version)") == "0.5"


async def test_what_cannot_be_resolved_is_told_in_the_resolver_s_words(bench) -> None:
    for wrong in ("nosuch", "alpha>9", "beta<1"):
        with pytest.raises(LaunchFailed) as caught:
            await bench.provide(bench.need("alpha", wrong))
        assert "uv says" in caught.value.message and wrong[:4] in caught.value.message
    assert bench.environments() == [] and bench.leftovers() == []


async def test_a_failure_is_remembered_until_somebody_launches_anew(bench) -> None:
    launched, need = time.time(), bench.need("nosuch")
    with pytest.raises(LaunchFailed) as first:
        await bench.provide(need, since=launched)
    bench.steps.clear()
    with pytest.raises(LaunchFailed) as second:  # as a replica that restarts by itself would ask
        await bench.provide(need, since=launched)
    assert bench.steps == [] and first.value.message in second.value.message
    assert "launch the model again" in second.value.message
    bench.shop.stock("nosuch")
    assert (await bench.provide(need)).made
    assert recall_failure(bench.shelf, need) is None


async def test_a_wheel_that_is_not_the_locked_one_is_refused(bench, monkeypatch, tmp_path) -> None:
    kept = (await bench.provide(bench.need("alpha"))).kept
    remove_tree(bench.shelf.root)
    bench.shop.stock("alpha", body="stolen = True\n")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))  # the other has the right one, and would take it
    with pytest.raises(LaunchFailed, match=r"(?i)hash"):
        await bench.provide(bench.need("alpha"), kept=kept)
    assert bench.environments() == []


async def test_a_home_that_cannot_be_written_says_so(bench) -> None:
    bench.shelf.root.write_text("a file where a folder must be")
    with pytest.raises(EnginehouseError, match="environments"):
        await bench.provide(bench.need("alpha"))


async def test_too_little_room_is_noticed_before_and_not_remembered(bench) -> None:
    full = bench.with_settings(environment_reserve_bytes=2**60)
    with pytest.raises(LaunchFailed, match="ENGINEHOUSE_ENVIRONMENT_RESERVE_BYTES"):
        await full.provide(full.need("alpha"), since=1.0)
    assert full.steps == []
    assert (await bench.provide(bench.need("alpha"), since=1.0)).made


async def test_an_index_that_never_answers_is_given_up(bench, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://user:hush-hush@127.0.0.1:{silent.getsockname()[1]}/simple"
        need = bench.need("alpha", indexes=PackageIndexes(index_url=url))
        monkeypatch.setenv("UV_HTTP_TIMEOUT", "1")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        with pytest.raises(LaunchFailed) as caught:
            await bench.provide(need)
        assert "uv says" in caught.value.message and "hush-hush" not in caught.value.message
        monkeypatch.setenv("UV_HTTP_TIMEOUT", "600")
        limited = bench.with_settings(environment_seconds=2.0)
        with pytest.raises(LaunchFailed, match="ENGINEHOUSE_ENVIRONMENT_SECONDS"):
            await limited.provide(need)
    assert bench.leftovers() == []
    assert not any("hush-hush" in file.read_text() for file in bench.shelf.root.rglob("*.json"))


async def test_an_environment_whose_interpreter_is_gone_is_made_again(bench) -> None:
    grant = await bench.provide(bench.need("alpha"))
    programs = Path(grant.environment.python).parent
    programs.chmod(0o755)
    for link in programs.glob("python*"):
        link.unlink()
        link.symlink_to("/nowhere/python")
    again = await bench.provide(bench.need("alpha"))
    assert again.made and again.environment == grant.environment
    assert run(again.environment, "import alpha; print(1)") == "1" and bench.leftovers() == []


async def test_two_processes_build_the_same_once(bench, tmp_path) -> None:
    """As two servers on one shelf would."""
    script = tmp_path / "provide.py"
    script.write_text(PROVIDE)
    need = msgspec.json.encode(bench.need("alpha")).decode()
    both = [
        subprocess.Popen([sys.executable, script, bench.settings.home, need], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[0].split() for process in both]
    assert {digest for digest, _ in told} == set(bench.environments())
    assert sorted(made for _, made in told) == ["False", "True"] and bench.leftovers() == []


PROVIDE = """
import asyncio, sys, time
from pathlib import Path
import msgspec
from enginehouse.host.environments.provider import Wish, provide_environment
from enginehouse.host.plugins import load_plugins
from enginehouse.host.settings import Settings
from enginehouse.sdk import EnvironmentNeed
settings = Settings(home=Path(sys.argv[1]), environment_reserve_bytes=0)
need = msgspec.json.decode(sys.argv[2], type=EnvironmentNeed)
wish = Wish(need=need, since=time.time())
grant = asyncio.run(provide_environment(wish, load_plugins(settings).contributions, settings, lambda step: None))
print(grant.environment.digest, grant.made is not None)
"""


async def test_an_interpreter_that_is_named_is_used_when_it_has_what_is_needed(bench) -> None:
    python = (await bench.provide(bench.need("alpha"))).environment.python
    need = bench.need("alpha", provisioner="path", place=python)
    environment = (await bench.provide(need)).environment
    assert environment.python == python and environment.digest == ""
    assert run(environment, "import alpha, enginehouse.runner; print(alpha.version)") == "1.0"
    with pytest.raises(LaunchFailed, match=r"pip install 'gamma>=2'"):
        await bench.provide(bench.need("alpha", "gamma>=2", provisioner="path", place=python))
    for place, words in (("python", "whole path"), ("/nowhere/python", "cannot be used"), ("/bin/true", "cannot be")):
        with pytest.raises(LaunchFailed, match=words):
            await bench.provide(bench.need("alpha", provisioner="path", place=place))


async def test_what_the_carried_code_requires_joins_the_need(bench) -> None:
    grant = await bench.provide(bench.need("alpha", carried=("enginehouse-fake-engine",)))
    assert {"msgspec", "pluggy", "uvicorn"} <= names(grant)
    assert not any(name.startswith("enginehouse") for name in names(grant))


async def test_without_isolation_a_package_is_built_with_those_that_are_locked(bench) -> None:
    """Its build needs `alpha`, which nothing but the environment itself has."""
    _stock_source(bench.shop.folder, "gamma", needs_to_build="alpha")
    indexes = msgspec.structs.replace(bench.need().indexes, no_build_isolation=True)
    grant = await bench.provide(bench.need("gamma", "alpha", indexes=indexes))
    assert [one.name for one in grant.kept.lock.packages if one.built] == ["gamma"]
    assert run(grant.environment, "import gamma; print(gamma.built_with)") == "1.0"
    assert any(step.phase == "build" and step.package == "gamma" for step in bench.steps)


def _stock_source(folder: Path, name: str, needs_to_build: str) -> None:
    """Puts a source distribution into a folder that brings its own build backend."""
    files = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": f"""
[build-system]
requires = ["{needs_to_build}"]
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
""",
        "backend.py": f"""
import zipfile
import {needs_to_build} as other
def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel, info = "{name}-1.0-py3-none-any.whl", "{name}-1.0.dist-info"
    with zipfile.ZipFile(folder + "/" + wheel, "w") as archive:
        archive.writestr("{name}.py", f"built_with = {{other.version!r}}")
        archive.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        archive.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(info + "/RECORD", "")
    return wheel
""",
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


async def test_a_lock_without_its_sizes_names_the_same_environment(bench) -> None:
    grant = await bench.provide(bench.need("alpha"))
    lock = grant.kept.lock
    sized = tuple(msgspec.structs.replace(one, size_bytes=7) for one in lock.packages)
    assert digest_of(msgspec.structs.replace(lock, packages=sized), "uv") == grant.environment.digest
    assert digest_of(msgspec.structs.replace(lock, accelerator="cuda"), "uv") != grant.environment.digest
    need = with_requirements(bench.need("alpha"), await asyncio.to_thread(_cargo, bench))
    assert recall_lock(bench.shelf, need) == lock


def _cargo(bench):
    from enginehouse.host.environments.cargo import load_cargo

    return load_cargo((), bench.shelf)
