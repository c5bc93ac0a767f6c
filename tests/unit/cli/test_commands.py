"""events, stop-cluster, vllm-models, completion, and what commands print as JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOADED = {"event_type": "INFO", "event_ts": 1.5, "event_content": "loaded"}
DIED = {"event_type": "ERROR", "event_ts": 2.5, "event_content": "the worker died"}
MODEL = {"id": "m", "model_type": "LLM", "status": "READY", "model_size_in_billions": "0_5", "quantization": "none"}
VECTORS = {"id": "v", "model_type": "embedding", "status": "READY", "dimensions": 384, "max_tokens": 256}


def test_events_are_shown_oldest_first(server: Any, ask: Any) -> None:
    server.play({"GET /v1/models/m/events": [{"json": [LOADED, DIED]}], "GET /v1/models/m": MODEL})
    ended = ask("events", "m")
    assert ended.status == 0
    assert [line.split()[2:] for line in ended.out.splitlines()] == [
        ["INFO", "loaded"],
        ["ERROR", "the", "worker", "died"],
    ]


def test_events_as_lines_of_json(server: Any, ask: Any) -> None:
    server.play({"GET /v1/models/m/events": [{"json": [LOADED, DIED]}], "GET /v1/models/m": MODEL})
    assert [json.loads(line) for line in ask("events", "m", "--json").out.splitlines()] == [LOADED, DIED]


def test_events_of_a_model_that_nobody_knows(server: Any, ask: Any) -> None:
    refusal = {"status": 400, "json": {"detail": "there is no model 'm'"}}
    server.play({"GET /v1/models/m/events": [{"json": []}], "GET /v1/models/m": [refusal]})
    ended = ask("events", "m")
    assert (ended.status, ended.out, ended.err) == (1, "", "Error: There is no model 'm'\n")


def test_events_may_be_followed(server: Any) -> None:
    steps = [{"json": [LOADED]}, {"json": [LOADED]}, {"json": [LOADED, DIED]}, {"status": 500, "json": {"detail": "x"}}]
    server.play({"GET /v1/models/m/events": steps})
    command = [sys.executable, "-m", "enginehouse.cli", "events", "m", "--follow", "--json", "-e", server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [LOADED, DIED]
    assert done.returncode == 1


def test_stop_cluster_asks_and_may_be_told_not_to(server: Any, ask: Any) -> None:
    server.play({"DELETE /v1/clusters": {"result": True}, "GET /v1/models": {"data": []}})
    ended = ask("stop-cluster")
    assert ended.status == 2
    assert "--yes" in ended.err
    assert not server.asked("DELETE")
    ended = ask("stop-cluster", "--check", "--json")
    assert (ended.status, json.loads(ended.out)) == (0, {"result": True})
    assert server.asked("DELETE /v1/clusters")


def test_vllm_models(server: Any, ask: Any) -> None:
    server.play({"GET /v1/models/vllm-supported": {"chat": ["b"], "generate": ["a"]}})
    assert [line.split() for line in ask("vllm-models").out.splitlines()[1:]] == [["a", "generate"], ["b", "chat"]]
    assert json.loads(ask("vllm-models", "--json").out) == {"chat": ["b"], "generate": ["a"]}


def test_list_of_one_type_tells_what_is_told_of_it(server: Any, ask: Any) -> None:
    server.play({"GET /v1/models": {"data": [MODEL, VECTORS]}})
    assert len(ask("list").out.splitlines()) == 3
    header, line = ask("list", "-t", "embedding").out.splitlines()
    assert "DIMENSIONS" in header
    assert line.split()[0] == "v" and line.split()[-2:] == ["384", "256"]
    header, line = ask("list", "-t", "llm").out.splitlines()
    assert "QUANTIZATION" in header and "0.5" in line.split()
    assert [item["id"] for item in json.loads(ask("list", "-t", "LLM", "--json").out)] == ["m"]
    assert "No audio models" in ask("list", "-t", "audio").err


def test_what_is_done_is_told_as_json(server: Any, ask: Any) -> None:
    refusal = {"status": 400, "json": {"detail": "in use"}}
    server.play(
        {
            "POST /v1/models": {"model_uid": "m"},
            "GET /v1/models/m": MODEL,
            "DELETE /v1/models/m": None,
            "DELETE /v1/models/x": [refusal],
            "POST /v1/model_registrations/LLM": None,
            "GET /v1/model_registrations/LLM": [{"json": [{"model_name": "mine", "is_builtin": False}]}],
            "DELETE /v1/model_registrations/LLM/mine": None,
            "GET /v1/models/m/replicas": [{"json": [{"replica_id": 0}]}],
            "GET /v1/cache/models/files": {"model_version": "m--1", "paths": ["/a"], "bytes": 1},
            "DELETE /v1/cache/models": {"result": True},
        }
    )
    assert json.loads(ask("launch", "m", "--json").out) == MODEL
    ended = ask("terminate", "m", "x", "--json")
    assert (ended.status, json.loads(ended.out)) == (1, {"terminated": ["m"], "failed": {"x": "in use"}})
    assert "1 of 2 were not terminated" in ended.err
    registered = ask("register", "-f", "-", "--json", stdin='{"model_name": "mine"}')
    assert json.loads(registered.out) == {"model_type": "LLM", "model_name": "mine", "persist": False}
    assert json.loads(ask("unregister", "mine", "--json").out) == {"unregistered": ["mine"]}
    unknown = ask("unregister", "mien")
    assert unknown.status == 1 and "no registration 'mien' of type LLM" in unknown.err
    assert json.loads(ask("scale", "m", "1", "--json").out) == [{"replica_id": 0}]
    assert json.loads(ask("remove-cache", "-n", "m--1", "-y", "--json").out)["removed"] is True
    assert "enginehouse-core" in json.loads(_version())


def _version() -> str:
    command = [sys.executable, "-m", "enginehouse.cli", "version", "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str, run: Any) -> None:
    ended = run("completion", shell)
    assert ended.status == 0
    assert "_ENGINEHOUSE_COMPLETE" in ended.out and "enginehouse" in ended.out


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("enginehouse vll", ["vllm-models"]),
        ("enginehouse list --js", ["--json"]),
        ("enginehouse terminate m", ["m"]),
        ("enginehouse launch -n Qw", ["qwen3"]),
        ("enginehouse launch -t embedding -n b", ["bge-m3"]),
        ("enginehouse engine -en ll", ["llama.cpp"]),
    ],
)
def test_bash_completes_commands_options_and_uids(server: Any, run: Any, words: str, offered: list[str]) -> None:
    server.play(
        {
            "GET /v1/models": {"data": [MODEL, VECTORS]},
            "GET /v1/model_registrations/LLM": [{"json": [{"model_name": "qwen3"}, {"model_name": "stoker"}]}],
            "GET /v1/model_registrations/embedding": [{"json": [{"model_name": "bge-m3"}]}],
            "GET /v1/engines": {"engines": [{"name": "llama.cpp"}, {"name": "transformers"}]},
        }
    )
    count = len(words.split())
    script = "\n".join(
        (
            run("completion", "bash").out.replace("complete -o", "true -o"),  # only an interactive shell registers it
            f"COMP_WORDS=({words}); COMP_CWORD={count - 1}",
            '_enginehouse_completion enginehouse; echo "${COMPREPLY[@]}"',
        )
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ENGINEHOUSE_ENDPOINT": server.url}
    command = ["bash", "--noprofile", "--norc", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    assert done.stdout.split() == offered


def test_completion_where_no_server_answers(unused_address: str) -> None:
    environment = {
        **os.environ,
        "_ENGINEHOUSE_COMPLETE": "bash_complete",
        "COMP_WORDS": "enginehouse terminate ",
        "COMP_CWORD": "2",
        "ENGINEHOUSE_ENDPOINT": unused_address,
    }
    command = [str(Path(sys.executable).with_name("enginehouse"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")
