"""Launches of before: kept by name and uid, bounded, without secrets."""

import msgspec
import pytest
import pytest_asyncio

from enginehouse.host import launch_history
from enginehouse.host.launch_history import LaunchHistory, LaunchUnknown, new_launch
from enginehouse.host.secrecy import HIDDEN, hide_secrets, restore_secrets
from enginehouse.host.store import open_store
from enginehouse.sdk import BadRequest, TooLarge


@pytest_asyncio.fixture
async def history(tmp_path):
    opened = await open_store(f"sqlite:///{tmp_path / 'state.db'}")
    yield LaunchHistory(opened)
    await opened.close()


def at(launch, seconds):
    return msgspec.structs.replace(launch, updated_ts=seconds)


async def test_the_last_of_each_name_and_uid(history) -> None:
    assert await history.all() == []
    await history.keep(at(new_launch("a", "", {"n": 1}, "me"), 1.0))
    await history.keep(at(new_launch("a", "x", {"n": 2}, "me"), 2.0))
    await history.keep(at(new_launch("a", "", {"n": 3}, "you"), 3.0))
    kept = await history.all("a")
    assert [(one.model_uid, one.data, one.updated_by) for one in kept] == [("x", {"n": 2}, "me"), ("", {"n": 3}, "you")]
    assert await history.all("b") == []
    await history.forget(("a/x", ""), ("a", "x"))
    assert [one.model_uid for one in await history.all()] == [""]
    with pytest.raises(LaunchUnknown, match="'x'"):
        await history.forget(("a", "x"))


async def test_secrets_are_not_kept(history) -> None:
    await history.keep(new_launch("a", "", {"envs": {"TOKEN": "s3cret"}, "replica": 2}, ""))
    (kept,) = await history.all()
    assert kept.data == {"envs": {"TOKEN": HIDDEN}, "replica": 2}


async def test_bounds(history, tmp_path) -> None:
    with pytest.raises(TooLarge):
        await history.keep(new_launch("a", "", {"text": "x" * (launch_history.MOST_BYTES + 1)}, ""))
    for name in ("x" * 256, "a\x00b", "a\nb"):
        with pytest.raises(BadRequest):
            await history.keep(new_launch(name, "", {}, ""))
    assert await history.all() == []


def test_hidden_values_are_taken_from_what_is_known() -> None:
    launch = {"model_name": "a", "envs": {"TOKEN": "s3cret", "HOME": "h"}}
    shown = hide_secrets(launch)
    assert shown["envs"] == {"TOKEN": HIDDEN, "HOME": HIDDEN}
    assert restore_secrets({**shown, "envs": {"TOKEN": HIDDEN, "HOME": "new"}}, launch)["envs"] == {
        "TOKEN": "s3cret",
        "HOME": "new",
    }
    with pytest.raises(BadRequest, match=r"envs\.TOKEN"):
        restore_secrets(shown, {"model_name": "a"})
    assert restore_secrets({"envs": None}, None) == hide_secrets({"envs": None}) == {"envs": None}


def test_credentials_in_packages_are_hidden_and_come_back() -> None:
    kept = {"virtual_env_packages": ["x @ https://me:w@rd@host/x.whl", "numpy", "y @ https://host/y@1.whl"]}
    shown = hide_secrets(kept)
    assert shown["virtual_env_packages"] == [f"x @ https://{HIDDEN}@host/x.whl", "numpy", "y @ https://host/y@1.whl"]
    assert restore_secrets(shown, kept) == kept
    with pytest.raises(BadRequest, match="are hidden and not known here"):
        restore_secrets(shown, {"virtual_env_packages": ["numpy"]})
