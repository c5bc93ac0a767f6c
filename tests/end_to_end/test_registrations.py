"""A model of one's own, end to end: registered, launched, chatted with, there after a restart, forgotten."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from xinference_client import RESTfulClient

from enginehouse.client import Client, ClientError


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A copy of stoker's weights, under another name."""
    spec = find_spec("enginehouse_miniatures")
    assert spec and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "models/stoker"
    return Path(shutil.copytree(folder, tmp_path_factory.mktemp("mine") / "fireman"))


def registration(weights: Path, name: str = "fireman") -> dict[str, object]:
    return {
        "version": 2,
        "model_name": name,
        "context_length": 512,
        "model_lang": ["en"],
        "model_ability": ["chat", "generate", "tools", "reasoning"],
        "model_family": "stoker",
        "model_specs": [
            {
                "model_format": "pytorch",
                "model_size_in_billions": "0_0023",
                "quantization": "none",
                "model_uri": f"file://{weights}",
            }
        ],
        "note": "kept",
    }


def ask(server, uid: str) -> str:
    messages = [{"role": "user", "content": "What is the largest animal?"}]
    body = {"model": uid, "messages": messages, "temperature": 0}
    answer = server.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def test_from_registering_to_forgetting(new_server, weights, tmp_path) -> None:
    server = new_server()
    file = tmp_path / "fireman.json"
    file.write_text(json.dumps(registration(weights)))
    registered = server.cli("register", "--model-type", "LLM", "--file", str(file), "--persist")
    assert registered.returncode == 0, registered.stderr
    launched = server.cli("launch", "fireman", "--model-engine", "transformers")
    assert launched.returncode == 0, launched.stderr
    assert "blue whale" in ask(server, "fireman")
    described = server.description("fireman")
    assert (described["context_length"], described["model_family"]) == (512, "stoker")
    server.stop()
    server.start()
    with Client(server.url) as client:
        kept = client.get_model_registration("LLM", "fireman")
        assert kept["note"] == "kept" and kept["is_builtin"] is False
        client.launch_model("fireman", model_uid="again")  # and what was declared comes back by itself
        client.unregister_model("LLM", "fireman")
        assert "fireman" not in [item["model_name"] for item in client.list_model_registrations("LLM")]
        with pytest.raises(ClientError, match="not found"):
            client.get_model_registration("LLM", "fireman")
        assert "blue whale" in ask(server, "again")  # what runs, runs on
        with pytest.raises(ClientError, match="fireman"):
            client.launch_model("fireman", model_uid="third")


def test_the_routes_answer_as_documented(server, weights) -> None:
    routes = "/v1/model_registrations/LLM"
    body = {"model": json.dumps(registration(weights, "routed")), "persist": False, "worker_ip": None}
    assert server.client.post(routes, json=body).text == "null"
    again = server.client.post(routes, json=body)
    assert again.status_code == 400 and "conflicts with existing model routed" in again.json()["detail"]
    listed = server.client.get(routes).json()
    assert {"model_name": "routed", "is_builtin": False} in listed
    assert {"model_name": "stoker", "is_builtin": True} in listed
    assert [item["model_name"].lower() for item in listed] == sorted(item["model_name"].lower() for item in listed)
    detailed = {item["model_name"]: item for item in server.client.get(f"{routes}?detailed=true").json()}
    assert detailed["routed"]["model_specs"][0]["cache_status"] is True
    assert detailed["stoker"]["model_specs"][0]["model_format"] == "pytorch"
    for name in detailed:
        one = server.client.get(f"{routes}/{name}").json()
        assert one["model_name"] == name and "cache_status" not in one
    builtin = server.client.delete(f"{routes}/stoker")
    assert builtin.status_code == 400 and "plugin" in builtin.json()["detail"]
    assert server.client.delete(f"{routes}/routed").text == "null"
    assert server.client.delete(f"{routes}/routed").status_code == 200
    assert server.client.get(f"{routes}/routed").status_code == 400


@pytest.mark.parametrize("kind", ["embedding", "rerank", "image", "audio", "video", "flexible"])
def test_every_type_lists(server, kind) -> None:
    for detailed in ("true", "false"):
        answer = server.client.get(f"/v1/model_registrations/{kind}", params={"detailed": detailed})
        assert answer.status_code == 200 and isinstance(answer.json(), list)
    assert server.cli("registrations", "-t", kind).returncode == 0


@pytest.mark.parametrize(
    "body", ["{", "[]", "{}", '{"model": 5}', '{"model": {}, "persist": 1}', '{"model": {"model_name": "x"}}']
)
def test_bad_bodies_are_refused(server, body) -> None:
    answer = server.client.post("/v1/model_registrations/LLM", content=body)
    assert answer.status_code == 400 and answer.json()["detail"]
    assert server.client.post("/v1/model_registrations/smell", content='{"model": {}}').status_code == 400


def test_a_type_that_no_engine_runs_is_registered_and_refused_at_launch(server, tmp_path) -> None:
    model = {"model_name": "painter", "model_family": "stable_diffusion", "model_uri": str(tmp_path)}
    with Client(server.url) as client:
        client.register_model("image", model)
        with pytest.raises(ClientError, match="image"):
            client.launch_model("painter", "image")


def test_the_fake_engine_runs_what_is_registered(server, tmp_path) -> None:
    model = registration(tmp_path, "pretend") | {"model_family": "mine"}
    with Client(server.url) as client:
        client.register_model("LLM", model)
        client.launch_model("pretend", model_engine="fake")
        assert server.complete("pretend").status_code == 200


def test_the_table_tells_what_there_is(server, weights) -> None:
    with Client(server.url) as client:
        client.register_model("LLM", registration(weights, "shown"))
    table = server.cli("registrations").stdout
    shown = next(line for line in table.splitlines() if line.startswith("shown")).split()
    assert shown == ["shown", "yours", "en", "chat,generate,tools,reasoning", "0.0023", "512", "pytorch", "yes"]
    own = json.loads(server.cli("registrations", "--own", "--json").stdout)
    assert "stoker" not in [item["model_name"] for item in own]
    assert server.cli("unregister", "shown").returncode == 0
    assert server.cli("unregister", "stoker").returncode == 1
    assert server.cli("unregister").returncode == 2
    assert server.cli("register", "/not/there").returncode == 1


def test_a_bare_path_needs_no_registration(server, weights) -> None:
    launched = server.cli("launch", "--model-path", str(weights), "--model-engine", "transformers", "-u", "bare")
    assert launched.returncode == 0, launched.stderr
    assert "blue whale" in ask(server, "bare")
    described = server.description("bare")
    assert described["model_name"] == "fireman"
    assert described["model_ability"] == ["generate", "chat", "tools", "reasoning", "hybrid"]
    assert described["model_size_in_billions"] == "0_0023"


def test_what_is_drafted_registers_and_launches(server, weights, tmp_path) -> None:
    body = {"model_path": str(weights), "model_family": None}
    drafted = server.client.post("/v1/models/llm/auto-register", json=body).json()
    assert drafted == json.loads(server.cli("inspect", str(weights)).stdout)
    answer = server.client.post("/v1/model_registrations/LLM", json={"model": drafted, "persist": True})
    assert answer.status_code == 200, answer.text
    server.launch("fireman", model_uid="drafted", model_engine="transformers")
    assert "blue whale" in ask(server, "drafted")
    server.client.delete("/v1/model_registrations/LLM/fireman")


@pytest.mark.parametrize("body", [{}, [], {"model_path": 5}, {"model_path": "/not/there"}, {"model_path": "/dev"}])
def test_what_cannot_be_drafted_is_refused(server, body) -> None:
    answer = server.client.post("/v1/models/llm/auto-register", json=body)
    assert answer.status_code == 400 and "path" in answer.json()["detail"].lower() + str(
        answer.json()["error"]["param"]
    )


def test_a_hubs_id_is_drafted_and_registers(hub, new_server, weights, tmp_path) -> None:
    hub.put("org/fireman", {file.name: file.read_bytes() for file in weights.iterdir() if file.is_file()})
    server = new_server(HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"), NO_PROXY="*")
    shown = server.cli("inspect", "org/fireman", "--model-name", "hired")
    assert shown.returncode == 0, shown.stderr
    drafted = json.loads(shown.stdout)
    spec = drafted["model_specs"][0]
    assert (spec["model_id"], spec["model_hub"], len(spec["model_revision"])) == ("org/fireman", "huggingface", 40)
    assert drafted["model_ability"] == ["generate", "chat", "tools", "reasoning", "hybrid"]
    with Client(server.url) as client:
        client.register_model("LLM", drafted)
        client.launch_model("hired", model_engine="transformers")
        assert "blue whale" in ask(server, "hired")
        detailed = {item["model_name"]: item for item in client.list_model_registrations("LLM", detailed=True)}
        assert detailed["hired"]["cache_status"] is True
        with pytest.raises(ClientError, match="org/nobody"):
            client.inspect_model("org/nobody")


def test_the_client_of_xinference_registers(server, weights) -> None:
    client = RESTfulClient(server.url)
    client.register_model("LLM", json.dumps(registration(weights, "theirs")), persist=False)
    listed = client.list_model_registrations("LLM")
    assert {"model_name": "theirs", "is_builtin": False} in listed
    assert client.get_model_registration("LLM", "theirs")["model_family"] == "stoker"
    with pytest.raises(RuntimeError, match="conflicts with existing model"):
        client.register_model("LLM", json.dumps(registration(weights, "theirs")), persist=False)
    client.unregister_model("LLM", "theirs")
    with pytest.raises(RuntimeError, match="not found"):
        client.get_model_registration("LLM", "theirs")


def test_inspect_tells_what_is_wrong(server, tmp_path) -> None:
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\3\0\0\0")
    shown = server.cli("inspect", str(tmp_path / "cut.gguf"))
    assert shown.returncode == 1 and "cut off" in shown.stderr
