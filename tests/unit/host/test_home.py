import os
from pathlib import Path

import pytest

from enginehouse.host.home import SOCKET_PATH_BYTES, HomeUnusable, held_home, private_folder, socket_folder, write_whole
from enginehouse.sdk import Conflict


def test_one_server_a_home(tmp_path: Path) -> None:
    with held_home(tmp_path / "home", "127.0.0.1:1"):
        with pytest.raises(Conflict, match=f"process {os.getpid()} at 127.0.0.1:1"):
            with held_home(tmp_path / "home", "127.0.0.1:2"):
                pass
    with held_home(tmp_path / "home", "127.0.0.1:2"):
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.touch()
    with pytest.raises(HomeUnusable, match="ENGINEHOUSE_HOME"):
        with held_home(file, ""):
            pass


def test_a_short_folder_keeps_its_sockets(tmp_path: Path) -> None:
    folder = Path("/x/y")
    assert socket_folder(folder) == folder


def test_a_long_folder_gets_a_short_private_one(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / "worker"
    short = socket_folder(deep)
    assert len(os.fsencode(short / "keeper.sock")) <= SOCKET_PATH_BYTES
    assert short.stat().st_mode & 0o777 == 0o700
    assert short == socket_folder(deep) != socket_folder(deep.with_name("other"))


def test_when_even_the_short_one_is_too_long_the_error_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("t" * 120)))
    with pytest.raises(HomeUnusable, match="TMPDIR"):
        socket_folder(tmp_path / ("d" * 120))


def test_folders_are_made_private(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert private_folder(tmp_path / "open").stat().st_mode & 0o777 == 0o700


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_whole(file, b"one")
    write_whole(file, b"two")
    assert file.read_bytes() == b"two"
    taken = tmp_path / "b.json"
    (taken / "full").mkdir(parents=True)
    with pytest.raises(OSError, match=r"b\.json"):
        write_whole(taken, b"three")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]
