"""Responses are kept up to a number and an age."""

import pytest
import pytest_asyncio

from enginehouse.host.kept_responses import KeptResponse, KeptResponses
from enginehouse.host.store import open_store


@pytest_asyncio.fixture
async def store(tmp_path):
    opened = await open_store(f"sqlite:///{tmp_path / 'state.db'}")
    yield opened
    await opened.close()


def kept(text: str) -> KeptResponse:
    return KeptResponse({"id": text}, [{"role": "user", "content": text}])


async def test_what_is_kept_comes_back(store) -> None:
    responses = KeptResponses(store)
    assert await responses.get("a") is None
    await responses.keep("a", kept("a"))
    assert await KeptResponses(store).get("a") == kept("a")
    assert await responses.forget("a") and not await responses.forget("a")
    assert await responses.get("a") is None


async def test_the_oldest_go_first(store) -> None:
    responses = KeptResponses(store, most=3)
    for name in "abcde":
        await responses.keep(name, kept(name))
    assert [name for name in "abcde" if await responses.get(name)] == ["c", "d", "e"]


async def test_a_key_finds_its_own_and_pushes_out_no_other(store) -> None:
    responses = KeptResponses(store, most=2)
    await responses.keep("a", kept("a"), "ann")
    for name in "bcd":
        await responses.keep(name, kept(name), "bob")
    assert [name for name in "abcd" if await responses.get(name, "ann")] == ["a"]
    assert [name for name in "abcd" if await responses.get(name, "bob")] == ["c", "d"]
    assert [name for name in "abcd" if await responses.get(name)] == ["a", "c", "d"]  # where no keys are asked for
    assert not await responses.forget("a", "bob") and await responses.get("a", "ann")
    await responses.keep("e", kept("e"))
    assert await responses.get("e", "ann") is None


@pytest.mark.parametrize("bounds", [{"most": 0}, {"seconds": 0.0}])
async def test_none_are_kept_where_that_is_wanted(store, bounds) -> None:
    responses = KeptResponses(store, **bounds)
    await responses.keep("a", kept("a"))
    assert await responses.get("a") is None and await KeptResponses(store).get("a") is None


async def test_those_of_an_earlier_version_are_nobodys(store) -> None:
    old = "CREATE TABLE responses (number INTEGER PRIMARY KEY, id VARCHAR(100), created_ts FLOAT, kept TEXT)"
    row = "INSERT INTO responses (id, created_ts, kept) VALUES ('a', 1e12, '{\"response\": {}, \"messages\": []}')"
    await store.write(lambda connection: [connection.exec_driver_sql(text) for text in (old, row)])
    responses = KeptResponses(store)
    assert await responses.get("a") is not None and await responses.get("a", "ann") is None
    await responses.keep("b", kept("b"), "ann")
    assert await responses.get("b", "ann") == kept("b")


async def test_what_is_too_old_is_gone(store) -> None:
    await KeptResponses(store).keep("a", kept("a"))
    late = KeptResponses(store, seconds=-1.0)
    assert await late.get("a") is None
    await late.keep("b", kept("b"))
    assert await KeptResponses(store).get("a") is None
