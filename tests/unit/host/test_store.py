import sqlite3
from pathlib import Path

import msgspec
import pytest

from enginehouse.host.launch_request import LaunchRequest
from enginehouse.host.placement import Place
from enginehouse.host.store import EVENTS_KEPT, Declared, StateUnavailable, open_store
from enginehouse.host.views import Event

ONE = Declared(uid="m", request=LaunchRequest(model_name="m", options={"a": 1}), created_ts=1.0)


async def test_what_is_declared_is_read_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    store = await open_store(url)
    await store.declare(ONE)
    await store.close()
    store = await open_store(url)
    assert await store.declared() == [ONE]
    await store.forget("m")
    assert await store.declared() == []
    await store.close()


async def test_events_are_bounded_and_go_with_their_deployment(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'state.db'}")
    await store.note("m", Event(ts=0, kind="INFO", text="before it was declared"))
    await store.declare(ONE)
    for number in range(EVENTS_KEPT + 20):
        await store.note("m", Event(ts=number, kind="INFO", text=str(number)))
    events = await store.events("m")
    assert [event.text for event in (events[0], events[-1])] == ["20", str(EVENTS_KEPT + 19)]
    await store.forget("m")
    assert await store.events("m") == []
    await store.close()


async def test_a_damaged_file_is_moved_aside(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_bytes(b"this is no database" * 1000)
    store = await open_store(f"sqlite:///{file}")
    assert await store.declared() == []
    await store.declare(ONE)
    await store.close()
    aside = list(tmp_path.glob("state.db.damaged-*"))
    assert len(aside) == 1 and aside[0].read_bytes().startswith(b"this is no database")


async def test_a_file_damaged_in_the_middle_is_moved_aside(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    store = await open_store(f"sqlite:///{file}")
    for number in range(200):
        await store.declare(Declared(uid=f"m{number}", request=LaunchRequest(model_name="m" * 90)))
    await store.close()
    content = bytearray(file.read_bytes())
    content[4096:40960] = b"\xa5" * (40960 - 4096)
    file.write_bytes(content)
    store = await open_store(f"sqlite:///{file}")
    assert await store.declared() == []
    await store.close()


async def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable, match="cannot be opened"):
        await open_store(f"sqlite:///{tmp_path}")


async def test_replicas_and_footprint_are_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    scaled = msgspec.structs.replace(ONE, replicas=(Place(1), Place(4, gpu_idx=(0, 1))), footprint_bytes=2**40)
    store = await open_store(url)
    await store.declare(scaled)
    assert await store.declared() == [scaled]
    await store.close()


async def test_a_database_of_an_earlier_version_is_read_and_written(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    with sqlite3.connect(file) as earlier:
        earlier.execute(
            "CREATE TABLE deployments (uid VARCHAR(100) PRIMARY KEY, request TEXT NOT NULL, desired VARCHAR(10)"
            " NOT NULL, was_ready BOOLEAN NOT NULL, error TEXT, created_ts FLOAT NOT NULL)"
        )
        earlier.execute(
            "INSERT INTO deployments VALUES ('m', '{\"model_name\": \"m\", \"replica\": 2}', 'running', 1, NULL, 1.0)"
        )
    store = await open_store(f"sqlite:///{file}")
    [declared] = await store.declared()
    assert [place.replica_id for place in declared.places] == [0, 1] and declared.was_ready
    await store.declare(msgspec.structs.replace(declared, footprint_bytes=7))
    assert (await store.declared())[0].footprint_bytes == 7
    await store.close()
