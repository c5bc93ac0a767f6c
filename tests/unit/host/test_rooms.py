"""What replicas take of each memory, awake and asleep."""

import pytest

from enginehouse.host.ledger import MACHINE
from enginehouse.host.rooms import NoRoom, Rooms, Takes, takes_asleep, takes_to_wake
from enginehouse.host.settings import Settings
from enginehouse.sdk import Device, LaunchFailed, Node

ON_DEVICE = Takes({MACHINE: 10, "cuda:0": 70, "cuda:1": 70}, {"cuda:0": 20, "cuda:1": 20})


def test_asleep_it_holds_its_weights_in_the_machines_memory_and_nothing_else() -> None:
    assert takes_asleep(ON_DEVICE) == {MACHINE: 50}
    assert takes_asleep(Takes({MACHINE: 30}, {MACHINE: 20})) == {MACHINE: 30}


def test_to_wake_it_needs_what_it_gave_back() -> None:
    assert takes_to_wake(ON_DEVICE, 60) == Takes({"cuda:0": 70, "cuda:1": 70}, {"cuda:0": 20, "cuda:1": 20})
    assert takes_to_wake(Takes({MACHINE: 30}, {MACHINE: 20}), 18) == Takes({MACHINE: 12}, {MACHINE: 12})
    assert takes_to_wake(Takes({MACHINE: 30}, {MACHINE: 20}), 30) == Takes({}, {})


async def test_where_the_cluster_does_not_say_its_devices_are_taken_to_have_room(settings: Settings) -> None:
    async def nobody() -> tuple[Node, ...]:
        raise LaunchFailed("It is dark.")

    async def full() -> tuple[Node, ...]:
        return (Node(name="here", devices=(Device(kind="cuda", index=0, free_bytes=10),)),)

    want = Takes({"cuda:0": 70}, {"cuda:0": 20})
    await Rooms(settings, nobody).admit("m", want)
    with pytest.raises(NoRoom):
        await Rooms(settings, full).admit("m", want)
