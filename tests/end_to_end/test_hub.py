"""Stoker's weights on a hub of our own, launched by the hub's id."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STOKER = Path(importlib.util.find_spec("enginehouse_miniatures").submodule_search_locations[0]) / "models" / "stoker"


@pytest.fixture
def start(hub: Any, new_server: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    hub.put("org/stoker", {file.name: file.read_bytes() for file in STOKER.iterdir() if file.is_file()})

    def begin(**variables: str) -> Any:
        return new_server(
            HF_ENDPOINT=hub.url, MODELSCOPE_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"), NO_PROXY="*", **variables
        )

    return begin


def files_of(server: Any, uid: str) -> dict[str, Any]:
    answer = server.client.get(f"/v1/models/{uid}/progress").json()
    return {one["file"]: one for one in answer["download_files"]}


def test_a_hubs_id_is_launched_its_files_seen_coming_and_answers(
    hub: Any, start: Callable[..., Any], wait: Callable[..., Any]
) -> None:
    hub.order(pace={"model.safetensors": 0.001})
    server = start()
    uid = server.launch("org/stoker", model_engine="transformers", wait_ready=False)
    assert uid == "stoker"
    size = (STOKER / "model.safetensors").stat().st_size
    wait(lambda: 0 < files_of(server, uid).get("model.safetensors", {"downloaded": 0})["downloaded"] < size)
    assert server.client.get(f"/v1/models/{uid}/progress").json()["stage"] == "downloading"
    wait(lambda: server.description(uid)["status"] == "READY", 90)
    assert files_of(server, uid)["model.safetensors"] == {
        "file": "model.safetensors",
        "downloaded": size,
        "total": size,
        "progress": 1.0,
        "replica_id": 0,
        "replica_model_uid": "stoker-rep0",
    }
    answer = server.client.post(
        "/v1/chat/completions", json={"model": uid, "messages": [{"role": "user", "content": "Hello"}]}
    )
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"]
    description = server.description(uid)
    assert description["model_hub"] == "huggingface" and len(description["revision"]) == 40


def test_a_cancelled_launch_goes_on_where_it_was_and_then_offline(
    hub: Any, start: Callable[..., Any], wait: Callable[..., Any]
) -> None:
    hub.order(pace={"model.safetensors": 0.005})
    server = start()
    server.launch("org/stoker", wait_ready=False)
    wait(lambda: files_of(server, "stoker").get("model.safetensors", {"downloaded": 0})["downloaded"] > 70_000)
    assert server.client.post("/v1/models/stoker/cancel").status_code == 200
    hub.order()
    server.launch("org/stoker")
    ranges = [
        one["range"] for one in hub.requests() if one["path"].endswith("model.safetensors") and "lfs" in one["path"]
    ]
    assert len(ranges) == 1 and ranges[0] is not None
    server.client.delete("/v1/models/stoker")
    hub.end()
    server.launch("org/stoker", model_uid="again")
    assert server.complete("again", max_tokens=4).status_code == 200


@pytest.mark.skipif(not importlib.util.find_spec("modelscope_hub"), reason="modelscope-hub is optional")
def test_another_hub_may_be_asked_for(start: Callable[..., Any]) -> None:
    server = start()
    uid = server.launch("org/stoker", download_hub="modelscope")
    assert server.complete(uid, max_tokens=4).status_code == 200
    assert server.description(uid)["model_hub"] == "modelscope"


def test_refusals_reach_whoever_launches(start: Callable[..., Any]) -> None:
    server = start()
    answer = server.client.post("/v1/models", json={"model_name": "org/nothing"})
    assert answer.status_code == 404 and "no org/nothing on Hugging Face" in answer.json()["detail"]
    answer = server.client.post("/v1/models", json={"model_name": "org/../x"})
    assert answer.status_code == 400
    answer = server.client.post("/v1/models", json={"model_name": "stoker", "download_hub": "csghub"})
    assert answer.status_code == 400 and "download_hub" in answer.json()["detail"]


def test_offline_is_told(start: Callable[..., Any]) -> None:
    server = start(ENGINEHOUSE_OFFLINE="1")
    answer = server.client.post("/v1/models", json={"model_name": "org/stoker"})
    assert answer.status_code == 503 and "ENGINEHOUSE_OFFLINE" in answer.json()["detail"]
