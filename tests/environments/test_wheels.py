"""Wheels of what is installed: real ones, which an installer takes."""

from __future__ import annotations

import hashlib
import zipfile

import pytest

from enginehouse.builtin.uv_lock import pins, read_pylock
from enginehouse.host.environments.distributions import distribution, files_of
from enginehouse.host.environments.wheels import write_wheel
from enginehouse.sdk import LaunchFailed


async def test_a_wheel_of_an_editable_install_can_be_installed(bench) -> None:
    for name in ("enginehouse-fake-engine", "enginehouse-core"):
        write_wheel(name, bench.shop.folder)
    need = bench.need("enginehouse-fake-engine", carried=())
    digest = (await bench.provide(need)).environment.digest
    site = next(bench.shelf.folder(digest).glob("lib/python*/site-packages"))
    for name in ("enginehouse-fake-engine", "enginehouse-core"):
        for file in files_of(distribution(name)):
            assert (site / file.name).read_bytes() == file.place.read_bytes()
    entries = next(site.glob("enginehouse_fake_engine-*.dist-info")) / "entry_points.txt"
    assert "enginehouse_fake.plugin" in entries.read_text()


def test_the_same_files_make_the_same_wheel(tmp_path) -> None:
    digests = set()
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        wheel = write_wheel("enginehouse-fake-engine", folder)
        digests.add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert len(digests) == 1 and wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist()[-1].endswith("/RECORD") and archive.testzip() is None


def test_a_wheel_of_an_installed_package_holds_what_it_recorded(tmp_path) -> None:
    """pluggy, as anybody's package that is not editable."""
    with zipfile.ZipFile(write_wheel("pluggy", tmp_path)) as archive:
        assert "pluggy/_manager.py" in archive.namelist()
        assert not any("__pycache__" in name or ".." in name for name in archive.namelist())


def test_what_is_not_installed_has_no_wheel(tmp_path) -> None:
    with pytest.raises(LaunchFailed, match="nosuch"):
        write_wheel("nosuch", tmp_path)


WHEEL = '{ url = "https://index/x-1.0-py3-none-any.whl", size = 70, hashes = { sha256 = "aa" } }'
SOURCE = '{ url = "https://index/x-1.0.tar.gz", hashes = { sha256 = "bb" } }'


@pytest.mark.parametrize(
    ("fields", "hashes", "built", "url"),
    [
        (f"wheels = [{WHEEL}]\nsdist = {SOURCE}", ("sha256:aa",), False, None),
        (f"sdist = {SOURCE}", ("sha256:bb",), True, None),
        (f"archive = {WHEEL}", ("sha256:aa",), False, "https://index/x-1.0-py3-none-any.whl"),
    ],
)
def test_a_lock_holds_the_hash_of_what_is_installed(fields, hashes, built, url) -> None:
    lock = read_pylock(f'[[packages]]\nname = "x"\nversion = "1.0"\n{fields}\n', "cpu")
    (package,) = lock.packages
    assert (package.hashes, package.built, package.url, package.version) == (hashes, built, url, "1.0")


def test_a_password_in_a_url_is_asked_for_and_not_kept() -> None:
    secret = "https://me:hush@index/x-1.0-py3-none-any.whl"
    entry = WHEEL.replace("https://index", "https://me:hush@index")
    (package,) = read_pylock(f'[[packages]]\nname = "x"\narchive = {entry}\n', "cpu").packages
    assert "hush" not in repr(package) and package.version == "1.0"
    assert pins(package, ("y>=1", f"x @ {secret}")) == f"x @ {secret} --hash=sha256:aa"
    assert pins(package) == "x @ https://index/x-1.0-py3-none-any.whl --hash=sha256:aa"


def test_what_has_no_hash_cannot_be_locked() -> None:
    with pytest.raises(LaunchFailed, match="cannot be locked"):
        read_pylock('[[packages]]\nname = "x"\nvcs = { type = "git", url = "https://h/x" }\n', "cpu")
