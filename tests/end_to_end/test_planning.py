"""Launches foretold, against a real server: nothing is left behind, and what was said comes about."""

import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enginehouse.client import AsyncClient, Client

MIB = 2**20
OWN_BOOKS = (".sqlite-shm", ".sqlite-wal", ".db-shm", ".db-wal")  # a database's own; who asked for what, when


def contents(home: Path) -> dict[str, int]:
    names = {file: str(file.relative_to(home)) for file in home.rglob("*")}
    kept = {file: name for file, name in names.items() if not name.startswith("logs") and not name.endswith(OWN_BOOKS)}
    return {name: file.stat().st_size if file.is_file() else 0 for file, name in kept.items()}


def processes_of(home: Path) -> set[str]:
    """Processes that have anything of this home in their command or environment."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str(home).encode() in (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes():
                    found.add(entry.name)
    return found


def plan(server, **fields):
    body = {"model_name": "stoker", "model_engine": "transformers", **fields}
    return server.client.post("/v1/models", params={"dry_run": "true"}, json=body)


def test_a_dry_run_leaves_nothing_behind(server) -> None:
    before = contents(server.home), processes_of(server.home)
    answer = plan(server, replica=2, max_batch=4)
    assert answer.status_code == 200, answer.text
    assert (contents(server.home), processes_of(server.home)) == before
    assert server.client.get("/v1/models", params={"all": "true"}).json()["data"] == []
    assert server.client.get("/v1/models/instances").json() == []


def test_what_a_plan_says(server) -> None:
    said = plan(server, replica=2, max_batch=4).json()
    assert (said["dry_run"], said["model_engine"], said["engine_reason"]) == (True, "transformers", "It was asked for.")
    assert said["tasks"] == ["generate", "chat"]
    assert said["weights"]["source"].startswith("package:") and said["weights"]["bytes_to_download"] == 0
    assert said["weights"]["bytes_on_disk"] > 9 * 10**6
    torch = next(one for one in said["environment"]["requirements"] if one["requirement"].startswith("torch"))
    assert torch["installed"] and torch["satisfied"]
    options = {option["name"]: option for option in said["options"]}
    assert (options["max_batch"]["value"], options["max_batch"]["is_default"]) == (4, False)
    assert options["dtype"]["is_default"] and options["dtype"]["description"]
    memory = said["memory"]
    assert memory["estimated_bytes"]["weights"] == 9_298_176  # the header's shapes times four bytes
    assert memory["estimated_bytes"]["kv_cache"] == 4 * 1024 * (5 * 2 * 6 * 32) * 4
    assert memory["total_bytes"] == sum(memory["estimated_bytes"].values())
    assert said["fit"]["needed_bytes"] == 2 * memory["total_bytes"]
    assert said["fit"]["fits"] is True and said["devices"] == [[], []]
    assert {"name": "fake", "usable": True, "reasons": []} in said["other_engines"]


def test_every_reason_against_every_other_engine(server) -> None:
    said = plan(server, model_name="fake-model", model_engine=None).json()
    other = next(engine for engine in said["other_engines"] if engine["name"] == "transformers")
    assert not other["usable"]
    assert {reason["code"] for reason in other["reasons"]} >= {"format"}


def test_a_plan_that_does_not_fit_says_what_would(server) -> None:
    said = plan(server, replica=64, cache_gib=1000, max_batch=1024).json()
    fit = said["fit"]
    assert fit["fits"] is False and fit["needed_bytes"] > fit["free_bytes"]
    changes = {name: one for one in fit["alternatives"] for name in one["change"]}
    assert 1 <= changes["replica"]["change"]["replica"] < 64
    assert changes["replica"]["needed_bytes"] <= fit["free_bytes"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"model_name": "nobody"}, "nobody"),
        ({"max_batsh": 1}, "max_batch"),
        ({"model_engine": "steam"}, "steam"),
        ({"worker_ip": "192.0.2.1"}, "192.0.2.1"),
        ({"n_worker": 2}, "n_worker"),
        ({"peft_model_config": {"lora_list": [{"lora_name": "x"}]}}, "local_path"),
    ],
)
def test_it_refuses_what_a_launch_refuses(server, fields, word) -> None:
    answer = plan(server, **fields)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]


def test_the_command(server) -> None:
    ran = server.cli("plan", "stoker", "--model-engine", "transformers", "--max-batch", "4")
    assert ran.returncode == 0, ran.stderr
    for word in ("It was asked for.", "kv_cache", "max_batch", "MiB", "fits", "could run it, too"):
        assert word in ran.stdout
    as_json = server.cli("plan", "stoker", "-en", "transformers", "--json")
    assert json.loads(as_json.stdout)["model_engine"] == "transformers"
    too_large = ("--replica", "64", "--max-batch", "1024", "--cache-gib", "1000")
    ran = server.cli("plan", "stoker", "-en", "transformers", *too_large)
    assert ran.returncode == 4 and "--replica" in ran.stdout


def test_engines_for_a_model(server) -> None:
    answer = server.client.get("/v1/engines/stoker").json()
    item = {
        "model_name": "stoker",
        "model_format": "pytorch",
        "model_size_in_billions": "0_0023",
        "quantizations": ["none"],
    }
    assert answer["transformers"] == [item]
    assert server.client.get("/v1/engines/LLM/stoker", params={"enable_virtual_env": "1"}).json() == answer
    without = server.client.get("/v1/engines/stoker", params={"enable_virtual_env": "0"}).json()
    assert without["fake"] == answer["fake"] and without["transformers"] == [item]
    assert server.client.get("/v1/engines/fake-model").json()["transformers"].startswith("Engine transformers cannot")
    for unknown in ("nobody", "embedding/stoker", "org/nobody", "LLM/org/nobody"):
        assert server.client.get(f"/v1/engines/{unknown}").json() is None


def test_all_engines(server) -> None:
    engines = {engine["name"]: engine for engine in server.client.get("/v1/engines").json()["engines"]}
    transformers = engines["transformers"]
    assert transformers["installed"] and transformers["tasks"] == ["generate", "chat"]
    assert transformers["options"]["properties"]["max_batch"]["minimum"] == 1


def test_both_clients_ask(server) -> None:
    with Client(server.url) as client:
        usable = client.query_engine_by_model_name("stoker")
        assert client.query_engine_by_model_name("stoker", model_type=None, enable_virtual_env=True) == usable
        assert client.query_engine_by_model_name("nobody") is None
        assert client.plan_model("stoker", model_engine="transformers")["fit"]["fits"] is True
        assert client.list_models() == {}

    async def ask():
        async with AsyncClient(server.url) as client:
            return await client.query_engine_by_model_name("stoker")

    assert asyncio.run(ask()) == usable


def test_the_command_engine(server) -> None:
    assert "transformers" in server.cli("engine").stdout
    usable = server.cli("engine", "-n", "stoker", "-en", "Transformers", "-s", "0.0023", "-f", "pytorch", "-q", "none")
    assert "0.0023" in usable.stdout and "fake" not in usable.stdout
    assert json.loads(server.cli("engine", "-n", "stoker", "-en", "fake", "-s", "7", "--json").stdout) == {"fake": []}
    assert "reads" in server.cli("engine", "-n", "fake-model").stdout
    options = server.cli("engine", "--options", "transformers").stdout
    assert "--max-batch" in options and "auto|bfloat16" in options
    assert server.cli("engine", "-n", "nobody").returncode == 1
    assert "Installed: " in server.cli("engine", "--options", "steam").stderr


def test_the_calculator_needs_no_server(server) -> None:
    asked = ("cal-model-mem", "-n", "stoker", "-s", "0_0023", "-f", "pytorch", "-c", "1000", "--kv-cache-dtype", "32")
    sizes = json.loads(server.cli(*asked, "--json").stdout)
    assert (sizes["weights"], sizes["kv_cache"]) == (9_298_176, 1000 * 5 * 2 * 6 * 32 * 4)
    assert "sequence" in server.cli(*asked).stdout
    assert "no such variant" in server.cli(*asked, "-q", "Int4").stderr
    assert server.cli("cal-model-mem", "-n", "nobody", "-s", "1", "-f", "pytorch", "-c", "1").returncode == 1


def test_the_estimate_is_near_the_truth(server) -> None:
    """Idle, a worker takes what it loaded; busy with full sequences, what the plan said. Bounds are wide: pages that
    other processes share count less, allocators keep more than is used, and of a library's file the kernel maps what
    it likes: torch's pages alone were seen to take from 150 to 450 MiB."""
    server.launch("stoker", model_engine="transformers", max_batch=8)
    try:
        idle = server.description("stoker")["memory"]
        parts = idle["estimated_bytes"]
        assert 0.4 < idle["measured_bytes"] / (parts["weights"] + parts["libraries"]) < 2.4
        body = {"model": "stoker", "prompt": "one " * 200, "max_tokens": 600, "ignore_eos": True}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: server.client.post("/v1/completions", json=body), range(8)))
        assert [answer.status_code for answer in answers] == [200] * 8
        busy = server.description("stoker")["memory"]["measured_bytes"]
        assert idle["measured_bytes"] < busy
        assert 0.4 < busy / sum(parts.values()) < 2.4
    finally:
        server.client.delete("/v1/models/stoker")


def test_it_names_the_idle_models_that_would_make_room(new_server) -> None:
    roomy = new_server()
    taken = roomy.description(roomy.launch("stoker", model_engine="transformers", max_batch=1))["memory"]
    roomy.stop()
    room = taken["measured_bytes"] + 200 * MIB  # for the fake engine beside it, not for a second stoker
    server = new_server(ENGINEHOUSE_MEMORY_BYTES=str(room), ENGINEHOUSE_MEMORY_RESERVE_BYTES="0")
    server.launch("stoker", model_uid="old", model_engine="transformers", max_batch=1, keep_alive=600)
    assert plan(server, model_name="fake-model", model_engine="fake").json()["evicts"] == []
    assert plan(server, max_batch=1).json()["evicts"] == ["old"]
    assert server.description("old")["status"] == "READY"
    assert "old" in server.cli("plan", "stoker", "-en", "transformers", "--max-batch", "1").stdout
