"""What Xinference's own client asks of a cluster, from its package as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

FAKE = {"model_name": "fake-model", "model_engine": "fake"}


def test_a_cluster_of_one(new_server: Callable[..., Any], wait: Callable[..., Any]) -> None:
    from xinference_client import RESTfulClient

    server = new_server()
    client = RESTfulClient(server.url)
    address = server.url.removeprefix("http://")
    assert client._get_supervisor_internal_address() == address
    assert client.get_supervisor_info() == {"supervisor_ip": address}
    assert client.get_workers_info() == [{"work-ip": address, "models": {}}]
    assert set(client.vllm_models()) == {"chat", "generate"}
    with pytest.raises(RuntimeError, match="No request"):
        client.get_progress("nothing")

    entry = client.upsert_autostart_model({"priority": 1, "launch": {**FAKE, "model_uid": "a b"}})
    assert (entry["model_uid"], entry["enabled"]) == ("a b", True)
    wait(lambda: "a b" in client.list_models(), 60, "the entry's start")
    assert list(client.get_workers_info()[0]["models"]) == ["a b-rep0"]
    assert [one["launch"]["model_name"] for one in client.get_autostart_config()["models"]] == ["fake-model"]
    assert [one["status"] for one in client.get_autostart_model_summary()["models"]] == ["READY"]
    assert client.remove_autostart_model("a b")["removed"] is True
    with pytest.raises(RuntimeError, match=r"No model .a b. is started"):
        client.remove_autostart_model("a b")

    assert client.abort_cluster() == {"result": True}
    assert server.process.wait(60) == 0
