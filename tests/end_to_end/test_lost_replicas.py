"""What a replica that never came up had been promised is free again."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from enginehouse.host.house import Departure, House, open_house
from enginehouse.host.launch_request import parse_launch
from enginehouse.host.placement import Place
from enginehouse.host.settings import Settings
from enginehouse.sdk import LaunchFailed


async def process_of(house: House, uid: str, replica_id: int) -> int:
    async with asyncio.timeout(30):
        while True:
            for replica in house.deployments.view(uid).replicas:
                if replica.replica_id == replica_id and replica.pid:
                    return replica.pid
            await asyncio.sleep(0.01)


async def test_the_room_of_a_lost_replica_is_given_back(tmp_path: Path) -> None:
    departure = Departure()
    departure.leave_workers = False
    settings = Settings(home=tmp_path / "home", drain_seconds=1.0)
    async with open_house(settings, departure) as house:
        deployments = house.deployments
        uid = await deployments.launch(parse_launch({"model_name": "fake-model", "load_seconds": 2.0}))
        await deployments.wait_ready(uid)
        rooms = deployments._ground.rooms  # what is promised shows nowhere else
        assert uid not in rooms._granted
        replica_id = await deployments.add_replica(uid, Place(-1))
        os.kill(await process_of(house, uid, replica_id), signal.SIGKILL)
        with pytest.raises(LaunchFailed, match="did not come up"):
            await deployments.wait_added(uid, replica_id)
        async with asyncio.timeout(10):
            while uid in rooms._granted:
                await asyncio.sleep(0.01)
        assert [replica.status for replica in deployments.view(uid).replicas] == ["READY"]
