"""Responses are kept up to a number and an age."""

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


async def test_what_is_too_old_is_gone(store) -> None:
    await KeptResponses(store).keep("a", kept("a"))
    late = KeptResponses(store, seconds=-1.0)
    assert await late.get("a") is None
    await late.keep("b", kept("b"))
    assert await KeptResponses(store).get("a") is None
