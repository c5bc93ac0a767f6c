"""Every field of a launch, sent to a real server: it does what it says, or is refused with what to do instead."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from enginehouse.client import Client
from enginehouse.host.launch_request import LaunchRequest

FIRST = re.compile(r"^    (eh-[\w-]{43})$", re.M)
NOT_THIS_MACHINE = "192.0.2.7"  # reserved for documentation
LORA = {"lora_list": [{"lora_name": "a", "local_path": "/a"}]}

# field, value, what the answer to `dry_run` says (a path into it, and what stands there)
TAKEN: list[tuple[dict[str, Any], str, Any]] = [
    ({"model_type": "LLM"}, "model_type", "LLM"),
    ({"model_type": None}, "model_type", "LLM"),
    ({"model_engine": "FAKE"}, "model_engine", "fake"),
    ({"model_engine": None}, "model_engine", "fake"),
    ({"model_size_in_billions": "0_001"}, "model_size_in_billions", "0_001"),
    ({"model_size_in_billions": "0.001"}, "model_size_in_billions", "0_001"),
    ({"model_size_in_billions": 0.001}, "model_size_in_billions", "0_001"),
    ({"model_format": "Fake"}, "model_format", "fake"),
    ({"quantization": "NONE"}, "quantization", "none"),
    ({"replica": 3}, "replica", 3),
    ({"replica": "2"}, "replica", 2),
    ({"replica": None}, "replica", 1),
    ({"n_worker": 1}, "device", "cpu"),
    ({"n_worker": None}, "device", "cpu"),
    ({"n_gpu": "auto"}, "device", "cpu"),
    ({"n_gpu": None}, "device", "cpu"),
    ({"peft_model_config": None}, "model_engine", "fake"),
    ({"worker_ip": "127.0.0.1"}, "device", "cpu"),
    ({"worker_ip": "localhost:9997"}, "device", "cpu"),
    ({"worker_ip": socket.gethostname()}, "device", "cpu"),
    ({"worker_ip": ["127.0.0.1:1", "[::1]:2"]}, "device", "cpu"),
    ({"gpu_idx": None}, "device", "cpu"),
    ({"replica_config": None}, "replica", 1),
    (
        {"replica_config": [{"replica_uid": "a", "devices": [{"worker_ip": "127.0.0.1:9", "n_gpu": "auto"}]}]},
        "replica",
        1,
    ),
    ({"download_hub": "auto"}, "weights.source", "package:enginehouse_fake/model"),
    ({"download_hub": "huggingface"}, "weights.source", "package:enginehouse_fake/model"),
    ({"download_hub": None}, "weights.source", "package:enginehouse_fake/model"),
    ({"enable_virtual_env": None}, "environment.provisioner", "system"),
    ({"enable_virtual_env": False}, "environment.provisioner", "system"),
    ({"virtual_env_packages": None, "virtual_env_find_links": []}, "environment.provisioner", "system"),
    ({"virtual_env_packages": ["msgspec>=0.1"]}, "environment.provisioner", "system"),
    ({"virtual_env_packages": ["gone"]}, "environment.provisioner", "uv"),
    ({"enable_virtual_env": True}, "environment.provisioner", "uv"),
    ({"environment": "uv"}, "environment.reason", "It was asked for."),
    ({"environment": "uv"}, "environment.locked", False),
    ({"environment": None}, "environment.provisioner", "system"),
    ({"environment": "system", "enable_virtual_env": False}, "environment.reason", "It was asked for."),
    ({"environment": f"path:{sys.executable}"}, "environment.interpreter", sys.executable),
    ({"trust_remote_code": None}, "model_engine", "fake"),
    ({"trust_remote_code": False}, "model_engine", "fake"),
    ({"wait_ready": False}, "model_engine", "fake"),
    ({"nothing": None}, "model_engine", "fake"),
]

# fields, and words of the refusal
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model_name": ""}, "`model_name` is missing"),
    ({"model_name": "fake-modle"}, "fake-model"),
    ({"model_uid": "m-rep0"}, "model_uid"),
    ({"model_type": "llm2"}, "There is no model type 'llm2'"),
    ({"model_engine": "vllmm"}, "No installed plugin brings an engine 'vllmm'"),
    ({"model_size_in_billions": "big"}, "model_size_in_billions is 'big'"),
    ({"model_size_in_billions": 7}, "0_001"),
    ({"model_format": "gguf"}, "has no such variant. It has (format, size, quantization): fake 0_001 none"),
    ({"quantization": "int3"}, "has no such variant"),
    ({"replica": 0}, "replica"),
    ({"replica": True}, "replica"),
    ({"replica": 1.5}, "replica"),
    ({"n_worker": 2}, "this server has one machine"),
    ({"n_worker": 0}, "n_worker"),
    ({"n_gpu": 0}, "n_gpu is 0"),
    ({"n_gpu": "many"}, "n_gpu is 'many'"),
    ({"n_gpu": 99}, "accelerators of this machine"),
    ({"peft_model_config": LORA}, "Engine fake cannot load LoRA weights"),
    ({"request_limits": -1}, "request_limits"),
    ({"worker_ip": NOT_THIS_MACHINE}, "which is not this machine"),
    ({"worker_ip": f"127.0.0.1,{NOT_THIS_MACHINE}:9"}, f"names {NOT_THIS_MACHINE}"),
    ({"gpu_idx": [97]}, "gpu_idx names 97"),
    ({"gpu_idx": 97}, "gpu_idx names 97"),
    ({"gpu_idx": [0, 1, 2], "replica": 2}, "cannot share in equal parts"),
    ({"replica_config": [{"devices": [{"n_gpus": 1}]}]}, "n_gpus"),
    ({"replica_config": [{"devices": []}]}, "needs one entry in `devices`"),
    ({"replica_config": [{"devices": [{}]}], "replica": 2}, "1 entries for 2 replicas"),
    ({"replica_config": [{"devices": [{}]}], "worker_ip": "127.0.0.1"}, "either replica_config or worker_ip"),
    ({"replica_config": [{"devices": [{}]}], "gpu_idx": 0}, "either replica_config or gpu_idx"),
    ({"replica_config": [{"devices": [{}]}], "n_gpu": 1}, "either replica_config or n_gpu"),
    ({"replica_config": [{"devices": [{"worker_ip": NOT_THIS_MACHINE}]}]}, "which is not this machine"),
    ({"model_path": "/nowhere/at/all"}, "model_path '/nowhere/at/all' is not there"),
    ({"download_hub": "nohub"}, "download_hub is 'nohub'"),
    ({"enable_thinking": "yes"}, "enable_thinking"),
    ({"reasoning_content": 1}, "reasoning_content"),
    ({"enable_virtual_env": "perhaps"}, "enable_virtual_env"),
    ({"enable_virtual_env": True, "environment": "system"}, "give one of them"),
    ({"environment": "conda"}, "'path:' and the absolute path of a Python interpreter"),
    ({"environment": "path:python3"}, "'path:' and the absolute path of a Python interpreter"),
    ({"enable_virtual_env": False, "virtual_env_packages": ["gone"]}, "its library gone is not installed"),
    ({"virtual_env_packages": ["--index-url=https://host"]}, "is an option of pip and no package"),
    ({"virtual_env_packages": ["numpy>>2"]}, "is no package as pip names them"),
    ({"virtual_env_packages": ["x @ https://host/x-1-py3-none-any.whl"]}, "ENGINEHOUSE_PACKAGE_URLS=1"),
    ({"virtual_env_packages": "numpy"}, "virtual_env_packages: Expected `array | null`, got `str`"),
    ({"virtual_env_find_links": ["wheels"]}, "give an absolute path"),
    ({"virtual_env_find_links": ["/"]}, "ENGINEHOUSE_VIRTUAL_ENV_FIND_LINKS_ALLOWED_ROOTS"),
    ({"envs": {"A": 1}}, "envs[...]: Expected `str`, got `int`"),
    ({"trust_remote_code": True}, "ENGINEHOUSE_TRUST_REMOTE_CODE"),
    ({"wait_ready": "no"}, "wait_ready is 'no'"),
    ({"tokns": 3}, "Did you mean 'tokens'?"),
    ({"tokens": "three"}, "An option of engine fake is wrong: tokens: Expected `int`"),
]
# fields that other tests of this module launch with
LAUNCHED = {
    "model_uid",
    "request_limits",
    "queue_length",
    "on_demand",
    "keep_alive",
    "enable_thinking",
    "reasoning_content",
    "envs",
}


def post(server, dry_run: bool = False, **fields: Any):
    query = {"dry_run": "true"} if dry_run else {}
    return server.client.post("/v1/models", params=query, json={"model_name": "fake-model", **fields})


def chat(server, uid: str, question: str) -> dict[str, Any]:
    body = {"model": uid, "messages": [{"role": "user", "content": question}]}
    answer = server.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["choices"][0]["message"])


def test_no_field_is_left_out() -> None:
    tried = {name for fields, *_ in (*TAKEN, *REFUSED) for name in fields} | LAUNCHED
    assert set(LaunchRequest.__struct_fields__) - {"options"} <= tried


@pytest.mark.parametrize(("fields", "place", "there"), TAKEN, ids=[json.dumps(fields) for fields, *_ in TAKEN])
def test_what_is_taken_shows_in_the_plan(server, fields, place, there) -> None:
    answer = post(server, dry_run=True, **fields)
    assert answer.status_code == 200, answer.text
    value = answer.json()
    for name in place.split("."):
        value = value[name]
    assert value == there


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=[json.dumps(fields) for fields, _ in REFUSED])
def test_what_is_refused_says_what_to_do(server, fields, words) -> None:
    answer = post(server, **fields)
    assert answer.status_code in (400, 403), answer.text
    assert words in answer.json()["detail"]
    assert server.client.get("/v1/declarations").json()["declarations"] == []


@pytest.mark.parametrize("size", [7, "7", 7.0, "7.0"])
def test_sizes_of_whole_billions(server, size) -> None:
    answer = post(
        server, dry_run=True, model_name="qwen2.5-instruct", model_engine="transformers", model_size_in_billions=size
    )
    assert answer.json()["model_size_in_billions"] in ("7", 7), answer.text


@pytest.mark.parametrize("size", ["0_5", "0.5", 0.5])
def test_sizes_below_a_billion(server, size) -> None:
    answer = post(
        server, dry_run=True, model_name="qwen2.5-instruct", model_engine="transformers", model_size_in_billions=size
    )
    assert answer.json()["model_size_in_billions"] == "0_5", answer.text


def test_replicas_have_the_names_that_they_were_given(server) -> None:
    names = [{"replica_uid": name, "devices": [{"worker_ip": "127.0.0.1:9997"}]} for name in ("left", "right")]
    uid = server.launch(model_uid="named", replica=2, replica_config=names)
    assert [each["replica_uid"] for each in server.replicas(uid)] == ["left", "right"]
    [instance] = server.client.get("/v1/models/instances", params={"model_uid": uid}).json()
    assert [each["replica_uid"] for each in instance["replica_statuses"]] == ["left", "right"]
    add = f"/v1/models/{uid}/replicas"
    taken = server.client.post(add, json={"replica_config": {"replica_uid": "left", "devices": [{}]}})
    assert taken.status_code == 400 and "is called 'left' already" in taken.json()["detail"]
    assert server.client.post(add, json={"replica_config": {"replica_uid": "more"}}).status_code == 200
    assert [each["replica_uid"] for each in server.replicas(uid)] == ["left", "right", "more"]
    server.client.delete(f"/v1/models/{uid}")


def test_variables_reach_the_worker(server) -> None:
    uid = server.launch(model_uid="env", envs={"COLOUR": "green", "EMPTY": ""})
    variables = Path(f"/proc/{server.pid(uid)}/environ").read_bytes().split(b"\0")
    assert b"COLOUR=green" in variables and b"EMPTY=" in variables
    server.client.delete(f"/v1/models/{uid}")


@pytest.mark.parametrize(("wish", "told"), [(None, None), (True, True), (False, False)])
def test_thinking_is_told_to_the_template(server, wish, told) -> None:
    uid = server.launch("fake-thinker", model_uid="thinks", enable_thinking=wish, reasoning_content=False)
    prompt = json.loads(chat(server, uid, "request")["content"])["prompt"]
    options = prompt.partition("<|options|>")[2].partition("\n")[0]
    assert (json.loads(options) if options else {}).get("enable_thinking") is told
    server.client.delete(f"/v1/models/{uid}")


@pytest.mark.parametrize("wish", [None, True, False])
def test_reasoning_is_told_apart_unless_that_is_not_wanted(server, wish) -> None:
    text = "<think>so</think>thus"
    uid = server.launch("fake-thinker", model_uid="reasons", reasoning_content=wish, text=text)
    said = chat(server, uid, "why")
    if wish is False:
        assert said["content"] == text and not said.get("reasoning_content")
    else:
        assert (said["content"], said["reasoning_content"]) == ("thus", "so")
    server.client.delete(f"/v1/models/{uid}")


def test_options_of_the_engine_are_converted(server) -> None:
    options = post(server, dry_run=True, tokens="3").json()["options"]
    assert {"name": "tokens", "value": 3} in [{"name": each["name"], "value": each["value"]} for each in options]


def test_a_launch_that_does_not_wait(server, wait) -> None:
    answer = post(server, model_uid="later", wait_ready=False, load_seconds=1)
    assert answer.json() == {"model_uid": "later"}
    assert server.client.get("/v1/models/later").status_code == 503
    wait(lambda: server.client.get("/v1/models/later").status_code == 200, what="its being ready")
    server.client.delete("/v1/models/later")


def test_code_of_a_model_needs_the_switch_and_an_admin_key(new_server, wait) -> None:
    server = new_server(ENGINEHOUSE_TRUST_REMOTE_CODE="1", ENGINEHOUSE_REQUIRE_KEY="1")
    admin = wait(lambda: FIRST.search(server.log()), what="the first key, printed after the start")[1]
    made = server.client.post("/v1/keys", json={"name": "u"}, headers={"Authorization": f"Bearer {admin}"})
    user = made.json()["key"]
    body = {"model_name": "fake-model", "trust_remote_code": True}
    for key, status in ((None, 401), (user, 403), (admin, 200)):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = server.client.post("/v1/models", params={"dry_run": "true"}, json=body, headers=headers)
        assert answer.status_code == status, answer.text


def test_the_client_sends_every_field(server) -> None:
    with Client(server.url) as client:
        uid = client.launch_model(
            "fake-model",
            model_uid="all",
            model_engine="Fake",
            model_size_in_billions="0_001",
            model_format="fake",
            quantization="none",
            n_gpu=None,
            request_limits=9,
            worker_ip="127.0.0.1",
            enable_virtual_env=False,
            envs={"A": "b"},
            tokens=2,
        )
        assert client.get_model(uid).generate("x")["choices"][0]["text"].split() == ["word0", "word1"]
        client.terminate_model(uid)
