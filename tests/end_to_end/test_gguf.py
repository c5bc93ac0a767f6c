"""Files for llama.cpp through the whole house: converted, launched, refused with a reason, ended in good order."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import save_file

ROOM_GIB = 0.06  # a worker may grow by so much; each prompt here leaves three MiB
QUESTION = [{"role": "user", "content": "What is the largest animal?"}]


@pytest.fixture(scope="module")
def file(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """stoker-q8_0.gguf, made by the command line."""
    made = tmp_path_factory.mktemp("gguf") / "stoker-q8_0.gguf"
    ended = server.cli("convert", "stoker", "--type", "q8_0", "-o", str(made))
    assert ended.returncode == 0 and str(made) in ended.stdout, ended.stderr
    return made


@pytest.fixture(scope="module", params=["xllamacpp", "llama_cpp"])
def stoker(server: Any, file: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Launched by each binding that is installed."""
    if not find_spec(request.param):
        pytest.skip(f"{request.param} is not installed: make bindings")
    uid = server.launch("stoker", model_uid="constrained", model_path=str(file), binding=request.param)
    yield uid
    server.client.delete(f"/v1/models/{uid}")


def answer(server: Any, uid: str) -> str:
    said = server.client.post("/v1/chat/completions", json={"model": uid, "temperature": 0, "messages": QUESTION})
    assert said.status_code == 200, said.text
    return str(said.json()["choices"][0]["message"]["content"])


def test_a_file_is_launched_by_its_path_alone(server: Any, file: Path) -> None:
    """The name of a family is not needed: the file brings its own template and ends."""
    uid = server.launch("my-stoker", model_path=str(file))
    described = server.description(uid)
    assert (described["model_engine"], described["quantization"]) == ("llama.cpp", "Q8_0")
    assert "blue whale" in answer(server, uid)
    server.client.delete(f"/v1/models/{uid}")


def test_the_plan_says_what_it_takes(server: Any, file: Path) -> None:
    plan = {"model_name": "stoker", "model_path": str(file), "n_parallel": 2, "cache_type_k": "q8_0"}
    told = server.client.post("/v1/models", params={"dry_run": "true"}, json=plan).json()
    assert told["model_engine"] == "llama.cpp" and told["memory"]["context_length"] == 1024
    sizes = told["memory"]["estimated_bytes"]
    assert sizes["kv_cache"] == int(5 * 2 * 192 * 1024 * 2 * (2 + 34 / 32) / 2)
    assert sizes["weights"] == pytest.approx(file.stat().st_size, rel=0.05)


def test_a_worker_ends_in_good_order(server: Any, file: Path, running: Callable[[int], bool], wait: Any) -> None:
    """llama.cpp takes SIGTERM for itself; the runner must still get it, or the worker would have to be killed."""
    uid = server.launch("stoker", model_uid="leaving", model_path=str(file))
    pid = server.pid(uid)
    assert server.client.delete(f"/v1/models/{uid}").status_code == 200
    wait(lambda: not running(pid), 20, "the worker's end")
    assert "SIGKILL" not in server.log()


def test_a_worker_that_is_killed_comes_back(server: Any, file: Path, wait: Any) -> None:
    uid = server.launch("stoker", model_uid="killed", model_path=str(file))
    pid = server.pid(uid)
    os.kill(pid, signal.SIGABRT)  # as an assertion of the library's C++ would end it
    wait(lambda: server.pid(uid) != pid, 30, "another worker")
    body = {"model": uid, "temperature": 0, "messages": QUESTION}
    wait(lambda: "blue whale" in server.client.post("/v1/chat/completions", json=body).text, 30, "an answer")
    server.client.delete(f"/v1/models/{uid}")


async def test_a_worker_over_its_ceiling_is_replaced(server: Any, file: Path, wait: Any) -> None:
    """What it had begun is answered, streams to their end; who comes between is told to try again, and then served."""
    body = {"model_name": "stoker", "model_uid": "ceiling", "model_path": str(file), "cache_ram_mib": 1024}
    refused = server.client.post("/v1/models", json={**body, "memory_gib": 0.01})
    assert refused.status_code == 503, refused.text
    loaded = float(re.findall(r"takes ([\d.]+) GiB", refused.json()["detail"])[0])
    uid = server.launch(**body, memory_gib=loaded + ROOM_GIB)
    first = server.pid(uid)
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for beginning in range(0, 400, 16):  # each prompt is another, and llama.cpp keeps what it made of it
            said = [asked(client, uid, number) for number in range(beginning, beginning + 16)]
            assert set(await asyncio.gather(*said)) <= {"answered", "told to try again"}
            if server.pid(uid) != first:
                break
    wait(lambda: server.pid(uid) not in (0, first), 60, "a new worker")
    body = {"model": uid, "temperature": 0, "messages": QUESTION}
    wait(lambda: "blue whale" in server.client.post("/v1/chat/completions", json=body).text, 30, "an answer")
    server.client.delete(f"/v1/models/{uid}")


async def asked(client: httpx.AsyncClient, uid: str, number: int) -> str:
    """How one caller fared. Every other one reads a stream."""
    stream = number % 2 == 0
    body = {"model": uid, "prompt": f"{number} " * 200, "max_tokens": 8, "temperature": 0, "stream": stream}
    said = await client.post("/v1/completions", json=body)
    if said.status_code == 503:
        assert said.headers["retry-after"]
        return "told to try again"
    *_, last = said.text.strip().split("\n\n")
    ends = said.status_code == 200 and json.loads(last.removeprefix("data: "))["choices"][0]["finish_reason"]
    return "answered" if ends else said.text


@pytest.mark.parametrize(("change", "word"), [(lambda raw: raw[:-500], "cut off"), (lambda raw: b"x" * 999, "GGUF")])
def test_a_broken_file_is_refused(server: Any, file: Path, tmp_path: Path, change: Any, word: str) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(change(file.read_bytes()))
    refused = server.client.post("/v1/models", json={"model_name": "broken", "model_path": str(broken)})
    assert refused.status_code == 400 and word in refused.json()["detail"]


@pytest.mark.parametrize("name", ["nameless", "stoker"])
def test_a_broken_template_is_refused_by_the_plan(server: Any, file: Path, tmp_path: Path, name: str) -> None:
    """Stoker's family has no template of its own, so the file's would be read."""
    raw = file.read_bytes()
    place = raw.index(b"{%", raw.index(b"tokenizer.chat_template"))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(raw[:place] + b"{#" + raw[place + 2 :])
    body = {"model_name": name, "model_path": str(broken)}
    for asked in ({"dry_run": "true"}, {}):
        refused = server.client.post("/v1/models", params=asked, json=body)
        assert refused.status_code == 400, refused.text
        assert "chat template" in refused.json()["detail"] and str(broken) in refused.json()["detail"]


NOT_READ = {
    "GBNF": {"guided_grammar": "root ::= ("},
    "GBNF without a root": {"guided_grammar": 'start ::= "a"'},
    "Lark": {"guided_grammar": "start: nothing"},
    "regex": {"guided_regex": "["},
    "schema": {"guided_json": {"type": "foo"}},
    "response_format": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 5}}}
    },
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wrong", NOT_READ)
def test_a_constraint_that_cannot_be_read_is_refused(stoker: str, server: Any, wrong: str, stream: bool) -> None:
    body = {"model": stoker, "messages": QUESTION, "stream": stream, "max_tokens": 4, **NOT_READ[wrong]}
    refused = server.client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400, refused.text
    assert next(iter(NOT_READ[wrong])) in refused.json()["detail"], refused.text
    assert "blue whale" in answer(server, stoker)


def test_an_architecture_that_nobody_knows_fails_with_the_reason(server: Any, file: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(file.read_bytes().replace(b"llama", b"lxama"))
    refused = server.client.post("/v1/models", json={"model_name": "odd", "model_path": str(odd)})
    assert refused.status_code == 503 and "unknown model architecture: 'lxama'" in refused.json()["detail"]


def test_it_embeds_where_a_registration_says_so(server: Any, file: Path) -> None:
    family = {
        "version": 2,
        "model_name": "stoker-vectors",
        "dimensions": 192,
        "max_tokens": 1024,
        "language": ["en"],
        "model_specs": [{"model_format": "ggufv2", "quantization": "Q8_0", "model_uri": f"file://{file}"}],
    }
    body = {"model": json.dumps(family), "persist": False}
    made = server.client.post("/v1/model_registrations/embedding", json=body)
    assert made.status_code == 200, made.text
    uid = server.launch("stoker-vectors", model_type="embedding", model_engine="llama.cpp")
    assert server.description(uid)["tasks"] == ["embed"]
    answer = server.client.post("/v1/embeddings", json={"model": uid, "input": ["a", "b c"], "dimensions": 16})
    assert answer.status_code == 200, answer.text
    assert [len(one["embedding"]) for one in answer.json()["data"]] == [16, 16]
    server.client.delete(f"/v1/models/{uid}")


def test_an_adapter_is_converted_and_asked_for(server: Any, file: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    said = {"peft_type": "LORA", "r": 1, "lora_alpha": 1}
    (adapter / "adapter_config.json").write_text(json.dumps(said))
    name = "base_model.model.model.layers.4.mlp.down_proj.lora_{}.weight"
    halves = {"A": [[1.0] * 448], "B": [[5.0 * (-1) ** row] for row in range(192)]}
    tensors = {name.format(half): torch.tensor(rows) for half, rows in halves.items()}
    save_file(tensors, adapter / "adapter_model.safetensors")
    made = tmp_path / "adapter.gguf"
    ended = server.cli("convert", str(adapter), "--base", "stoker", "-o", str(made))
    assert ended.returncode == 0, ended.stderr
    assert server.cli("convert", str(adapter), "-o", str(tmp_path / "x.gguf")).returncode == 1
    loras = {"lora_list": [{"lora_name": "odd", "local_path": str(made)}]}
    uid = server.launch("stoker", model_uid="adapted", model_path=str(file), peft_model_config=loras)
    body = {"model": uid, "temperature": 0, "messages": QUESTION, "max_tokens": 12}
    odd = server.client.post("/v1/chat/completions", json={**body, "lora_name": "odd"})
    assert odd.status_code == 200 and "whale" not in odd.text
    assert "blue whale" in answer(server, uid)
    unknown = server.client.post("/v1/chat/completions", json={**body, "lora_name": "even"})
    assert unknown.status_code == 400 and "odd" in unknown.json()["detail"]
    server.client.delete(f"/v1/models/{uid}")


def test_a_wrong_option_is_refused_before_anything_starts(server: Any, file: Path) -> None:
    body = {"model_name": "stoker", "model_path": str(file), "n_paralel": 3}
    refused = server.client.post("/v1/models", json=body)
    assert refused.status_code == 400 and "n_parallel" in refused.json()["detail"]


def test_nothing_is_converted_over_a_file_that_is_there(server: Any, file: Path) -> None:
    again = server.cli("convert", "stoker", "-o", str(file))
    assert again.returncode == 1 and "--overwrite" in again.stderr
    assert server.cli("convert", "stoker", "--type", "q8_0", "-o", str(file), "--overwrite").returncode == 0
    unknown = server.cli("convert", "stoker", "--to", "onnyx")
    assert unknown.returncode == 1 and "gguf" in unknown.stderr
    nobody = server.cli("convert", "nobody")
    assert nobody.returncode == 1 and "nobody" in nobody.stderr
