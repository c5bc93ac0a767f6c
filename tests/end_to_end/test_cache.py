"""Downloaded weights: listed with their bytes, removed, and kept where a model uses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from enginehouse.client import Client, ClientError

CONFIG = b'{"architectures": ["FakeForCausalLM"], "model_type": "fake"}'


@pytest.fixture
def server(hub: Any, new_server: Callable[..., Any], tmp_path: Any) -> Any:
    """The fake engine's model with its weights on a hub, launched."""
    hub.put("org/fake", {"config.json": CONFIG, "model.safetensors": b"w" * 50_000})
    running = new_server(HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"), NO_PROXY="*")
    running.launch("org/fake", model_engine="fake", model_format="pytorch")
    return running


def test_weights_are_listed_and_removed_only_when_nobody_uses_them(server: Any) -> None:
    with Client(server.url) as client:
        (held,) = client.list_cached_models()
        assert (held["model_name"], held["complete"], held["used_by"]) == ("org/fake", True, ["fake"])
        assert held["bytes"] >= 50_000 + len(CONFIG)
        assert client.list_cached_models("nothing") == []
        version = held["model_version"]
        paths = client.list_deletable_models(version)["paths"]
        assert {path.rpartition("/")[2] for path in paths} >= {"config.json", "model.safetensors"}
        with pytest.raises(ClientError, match="in use by fake"):
            client.confirm_and_remove_model(version)
        with pytest.raises(ClientError, match="no downloaded weights"):
            client.confirm_and_remove_model("other")
        client.terminate_model("fake")
        assert client.confirm_and_remove_model(held["uri"]) is True
        assert client.list_cached_models() == []
    assert not list((server.home / "weights").glob("*/*"))


def test_after_removing_the_newest_revision_is_asked_for(hub: Any, server: Any) -> None:
    with Client(server.url) as client:
        (old,) = client.list_cached_models()
        hub.put("org/fake", {"model.safetensors": b"n" * 50_000})
        server.launch("org/fake", model_engine="fake", model_uid="again")  # a launch changes no revision in passing
        assert client.describe_model("again")["revision"] == old["revision"]
        client.terminate_model("fake")
        client.terminate_model("again")
        assert client.confirm_and_remove_model("org/fake")
        server.launch("org/fake", model_engine="fake")
        assert client.describe_model("fake")["revision"] != old["revision"]


def test_xinferences_own_client_knows_them(server: Any) -> None:
    from xinference_client import RESTfulClient

    client = RESTfulClient(server.url)
    (held,) = client.list_cached_models()
    assert client.list_deletable_models(held["model_version"])["paths"]
    with pytest.raises(RuntimeError, match="in use by fake"):
        client.confirm_and_remove_model(held["model_version"])
    client.terminate_model("fake")
    assert client.confirm_and_remove_model(held["model_version"]) is True


def test_the_command_line_asks_before_it_removes(server: Any) -> None:
    listed = server.cli("cached")
    assert listed.returncode == 0 and "org/fake" in listed.stdout and "complete" in listed.stdout
    with Client(server.url) as client:
        version = client.list_cached_models()[0]["model_version"]
        refused = server.cli("remove-cache", "-n", version, "-y")
        assert refused.returncode != 0 and "in use by fake" in refused.stderr
        client.terminate_model("fake")
        declined = server.cli("remove-cache", "-n", version, stdin="n\n")
        assert declined.returncode != 0 and len(client.list_cached_models()) == 1
        removed = server.cli("remove-cache", "--model_version", version, "--check")
        assert removed.returncode == 0 and "Removed" in removed.stderr
        assert client.list_cached_models() == []


def test_what_came_of_a_cancelled_download_is_listed_too(hub: Any, server: Any, wait: Callable[..., Any]) -> None:
    hub.put("org/slow", {"config.json": CONFIG, "model.safetensors": b"w" * 400_000})
    hub.order(pace={"model.safetensors": 0.05})
    server.launch("org/slow", model_engine="fake", wait_ready=False)

    def came() -> bool:
        files = server.client.get("/v1/models/slow/progress").json()["download_files"]
        return any(one["file"] == "model.safetensors" and one["downloaded"] > 65_000 for one in files)

    wait(came)
    with Client(server.url) as client:
        client.cancel_launch_model("slow")
        (held,) = client.list_cached_models("org/slow")
        assert not held["complete"] and held["bytes"] > 65_000
        assert client.confirm_and_remove_model(held["model_version"])
