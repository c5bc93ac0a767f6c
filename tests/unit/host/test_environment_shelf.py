"""Environments in the home: found by their mark, removed unless a worker runs in them."""

import pytest

from enginehouse.host.environment_shelf import list_environments, remove_environments
from enginehouse.sdk import Conflict


def make(home, *parts, version="version_info = 3.11.9.final.0"):
    folder = home.joinpath("environments", *parts)
    folder.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = /usr/bin\n{version}\n")
    return folder


def test_none_without_a_provisioner_that_makes_any(tmp_path) -> None:
    assert list_environments(tmp_path) == []
    assert remove_environments([], tmp_path / "workers") is False


def test_the_path_says_whose_it_is(tmp_path) -> None:
    make(tmp_path, "qwen3", "vllm", "3.11.9", version="version = 3.11.9")
    make(tmp_path, "shared")
    (tmp_path / "environments" / "broken").mkdir()
    found = list_environments(tmp_path)
    assert [(one.model_name, one.model_engine, one.python_version) for one in found] == [
        ("qwen3", "vllm", "3.11.9"),
        ("shared", None, "3.11.9.final.0"),
    ]


def test_one_that_a_worker_runs_in_stays(tmp_path) -> None:
    folder, workers = make(tmp_path, "qwen3", "vllm"), tmp_path / "workers"
    order = workers / "w1" / "order.json"
    order.parent.mkdir(parents=True)
    order.write_text(f'{{"argv": ["{folder}/bin/python"]}}')
    with pytest.raises(Conflict, match="w1"):
        remove_environments(list_environments(tmp_path), workers)
    order.write_text(f'{{"argv": ["{folder}-other/bin/python"]}}')
    assert remove_environments(list_environments(tmp_path), workers) is True
    assert not folder.exists()


def test_what_a_link_points_to_stays(tmp_path) -> None:
    outside = make(tmp_path / "elsewhere", "mine")
    shelf = tmp_path / "environments"
    shelf.mkdir()
    (shelf / "linked").symlink_to(outside)
    assert remove_environments(list_environments(tmp_path), tmp_path / "workers") is True
    assert outside.exists() and not (shelf / "linked").exists()
