"""Workers run where a plugin's cluster says, and the server knows them by what the contract says alone."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from enginehouse.testing.waiting import wait_for

# A cluster whose workers are reached over the network: each has a port of its own, behind which its socket is.
ATTIC = '''
import asyncio
from pathlib import Path
from enginehouse.sdk import CannotRun, ClusterSpec, ExitRecord, Node, hookimpl
from enginehouse.sdk.keepers import adopt_kept, start_kept

NODES = ("attic-1", "attic-2")

class Reached:
    """A worker of this machine as one of another is seen: no process, an address of the network."""

    def __init__(self, kept, server):
        self.kept, self.server, self.pid = kept, server, None
        self.address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        self.node, self.started_at = kept.node, kept.started_at

    async def wait(self):
        return await self.kept.wait()

    async def stop(self, grace):
        self.server.close()
        return await self.kept.stop(grace)

    async def logs(self, lines):
        return [*await self.kept.logs(lines), f"from {self.node}"]

    async def leave(self):
        self.server.close()
        await self.kept.leave()

async def reach(kept):
    async def carry(reader, writer):
        worker = await asyncio.open_unix_connection(kept.address)
        await asyncio.gather(pour(reader, worker[1]), pour(worker[0], writer), return_exceptions=True)

    return Reached(kept, await asyncio.start_server(carry, "127.0.0.1", 0))

async def pour(reader, writer):
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()

class Attic:
    async def nodes(self):
        if Path(__file__).with_name("dark").exists():
            raise OSError("it is dark")
        return [Node(name=name, address=f"192.0.2.{number}", cpus=2) for number, name in enumerate(NODES, 1)]

    async def start(self, order, node):
        if node not in NODES:
            raise CannotRun(f"There is no node {node}.")
        return await reach(await start_kept(order, node))

    async def adopt(self, order, node):
        found = await adopt_kept(order, node)
        return found if found is None or isinstance(found, ExitRecord) else await reach(found)

@hookimpl
def enginehouse_clusters():
    return [ClusterSpec(name="attic", cluster="plugin_attic:Attic")]
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the plugin `attic`, as if installed there."""
    folder = tmp_path / "site"
    info = folder / "plugin_attic-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "plugin_attic.py").write_text(dedent(ATTIC))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin_attic\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enginehouse]\nattic = plugin_attic\n")
    return folder


@pytest.fixture
def attic(new_house: Callable[..., Any], site: Path) -> Any:
    return new_house(site=(site,), ENGINEHOUSE_CLUSTER="attic")


def models_by_address(house: Any) -> dict[str, list[str]]:
    return {one["work-ip"]: list(one["models"]) for one in house.client.get("/v1/workers").json()}


def test_a_model_runs_on_the_node_that_was_asked_for(attic: Any) -> None:
    uid = attic.launch(model_uid="far", worker_ip="attic-2", tokens=3)
    (replica,) = attic.replicas(uid)
    assert replica["model_address"].startswith("127.0.0.1:") and replica["pid"] is None
    assert attic.complete(uid).json()["usage"]["completion_tokens"] == 3
    assert models_by_address(attic) == {"192.0.2.1": [], "192.0.2.2": ["far-rep0"]}
    infos = attic.client.get("/v1/cluster/info").json()
    assert [(one["node_type"], one["ip_address"]) for one in infos[1:]] == [
        ("Worker", "192.0.2.1"),
        ("Worker", "192.0.2.2"),
    ]
    assert list(attic.client.get("/status").json()["workers"]) == ["192.0.2.1", "192.0.2.2"]
    assert 'enginehouse_worker_up{model="far",replica="0"} 1.0' in attic.client.get("/metrics").text
    assert attic.client.get(f"/v1/models/{uid}/replicas/0/logs").json()["lines"][-1] == "from attic-2"
    assert attic.client.delete(f"/v1/models/{uid}").status_code == 200


def test_another_machine_is_no_node_of_it(attic: Any) -> None:
    body = {"model_name": "fake-model", "worker_ip": "attic-9"}
    answer = attic.client.post("/v1/models", json=body)
    assert answer.status_code == 400 and "attic-9, which is not the node attic-1 of the cluster attic" in answer.text
    body = {"model_name": "fake-model", "n_worker": 2}
    assert "n_worker" in attic.client.post("/v1/models", json=body).text


def test_its_workers_are_found_again_and_renewed(attic: Any) -> None:
    uid = attic.launch(model_uid="far", tokens=3)
    started = attic.replicas(uid)[0]["created_ts"], attic.replicas(uid)[0]["replica_uid"]
    attic.kill()
    attic.variables["ENGINEHOUSE_CLUSTER"] = "local"  # where new ones are started; the old one stays where it is
    attic.start()
    assert (attic.replicas(uid)[0]["created_ts"], attic.replicas(uid)[0]["replica_uid"]) == started
    assert attic.complete(uid).status_code == 200
    assert list(models_by_address(attic).values()) == [["far-rep0"]]
    assert attic.client.post(f"/v1/models/{uid}/renew").status_code == 200
    assert attic.replicas(uid)[0]["model_address"].startswith("unix:")
    assert attic.complete(uid).status_code == 200


def test_a_worker_that_no_cluster_can_find_is_left_alone(attic: Any) -> None:
    uid = attic.launch(model_uid="far")
    worker = attic.replicas(uid)[0]["replica_uid"]
    attic.stop(signal.SIGTERM)
    without = {**attic.variables, "ENGINEHOUSE_CLUSTER": "local", "ENGINEHOUSE_BLOCKED_PLUGINS": "attic"}
    attic.variables, before = without, attic.variables
    attic.start()
    assert "may run, and cannot be asked for: There is no cluster 'attic'" in attic.log()
    assert (attic.home / "workers" / worker).is_dir()
    attic.stop(signal.SIGTERM)
    attic.variables = before
    attic.start()
    assert attic.complete(uid).status_code == 200


PINNED = {"replica_config": {"devices": [{"n_gpu": "auto"}]}}


def test_workers_that_cannot_be_planned_for_any_more_are_not_held_unseen(attic: Any, site: Path) -> None:
    uid = attic.launch(model_uid="far")
    assert attic.client.post(f"/v1/models/{uid}/replicas", json=PINNED).status_code == 200
    wait_for(lambda: len([one for one in attic.replicas(uid) if one["status"] == "READY"]) == 2, what="both")
    attic.kill()
    (site / "dark").touch()
    attic.start()
    wait_for(lambda: attic.description(uid)["status"] == "ERROR", what="the failure")
    assert "it is dark" in attic.complete(uid).json()["detail"]
    wait_for(lambda: not list((attic.home / "workers").iterdir()), what="the end of its former workers")


def test_who_asks_while_the_cluster_does_not_say_is_told_and_the_next_is_served(attic: Any, site: Path) -> None:
    uid = attic.launch(model_uid="far", on_demand=True, keep_alive=0.1)
    assert attic.client.post(f"/v1/models/{uid}/replicas", json=PINNED).status_code == 200
    assert attic.client.delete(f"/v1/models/{uid}/replicas/0").status_code == 200
    assert attic.complete(uid).status_code == 200
    wait_for(lambda: attic.description(uid)["status"] == "UNLOADED", what="its unloading")
    (site / "dark").touch()
    answer = attic.complete(uid)
    assert answer.status_code == 503 and "it is dark" in answer.json()["detail"]
    assert attic.description(uid)["status"] == "UNLOADED"
    (site / "dark").unlink()
    assert attic.complete(uid).status_code == 200


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_cluster_that_is_not_there_is_said_at_the_start(new_house: Callable[..., Any], how: str) -> None:
    house = new_house()
    house.stop()
    words = ("--cluster", "cellar") if how == "option" else ()
    house.variables |= {} if how == "option" else {"ENGINEHOUSE_CLUSTER": "cellar"}
    run = house.cli("serve", "--port", "0", *words)
    assert run.returncode == 1
    assert "There is no cluster 'cellar'; there are: local." in run.stderr


def test_what_a_worker_printed(new_house: Callable[..., Any]) -> None:
    house = new_house()
    uid = house.launch(model_uid="near", raise_at_token=1)
    path = f"/v1/models/{uid}/replicas/0/logs"
    assert house.client.get(path).json() == {"replica_id": 0, "lines": []}
    assert house.complete(uid).status_code == 500  # of which the worker tells

    def told() -> list[str]:
        return list(house.client.get(path).json()["lines"])

    file = house.home / "workers" / house.replicas(uid)[0]["replica_uid"] / "worker.log"
    wait_for(lambda: "raise" in file.read_text() and file.read_text().endswith("\n"), what="the worker's words")
    wait_for(lambda: told() == file.read_text().splitlines(), what="the same words")
    written = told()
    assert any("Traceback" in line for line in written)
    assert house.client.get(path, params={"lines": 1}).json()["lines"] == written[-1:]
    assert house.cli("logs", uid, "-n", "1").stdout.splitlines() == written[-1:]
    assert house.client.get(path, params={"lines": 0}).status_code == 422
    answer = house.client.get(f"/v1/models/{uid}/replicas/7/logs")
    assert answer.status_code == 400 and "has no worker now" in answer.text
    assert house.client.get("/v1/models/nobody/replicas/0/logs").status_code == 400
