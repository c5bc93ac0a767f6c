"""launch, list and terminate."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

LOADING = {"id": "stoker", "model_name": "stoker", "status": "LOADING"}
READY = {"id": "stoker", "model_name": "stoker", "status": "READY"}
FAILED = {"id": "stoker", "model_name": "stoker", "status": "ERROR", "error": "weights are missing"}
HALFWAY = {"progress": 0.5, "stage": "loading", "replicas": []}
LAUNCHED = {"POST /v1/models": {"model_uid": "stoker"}, "GET /v1/models/stoker/progress": HALFWAY}


def steps(*models: Any) -> list[dict[str, Any]]:
    return [{"json": model} for model in models]


def test_launch_prints_the_uid_alone_once_the_model_is_ready(server: Any, ask: Any) -> None:
    server.play({**LAUNCHED, "GET /v1/models/stoker": steps(LOADING, READY)})
    ended = ask("launch", "--model-name", "stoker")
    assert (ended.status, ended.out) == (0, "stoker\n")
    assert "stoker: loading" in ended.err
    launched, *polls = server.asked()
    assert launched["query"] == {"wait_ready": "false"}
    assert polls[0]["query"] == {"any_status": "true"}


def test_a_launch_that_fails_ends_with_1_and_the_reason(server: Any, ask: Any) -> None:
    server.play({**LAUNCHED, "GET /v1/models/stoker": steps(LOADING, FAILED)})
    ended = ask("launch", "stoker")
    assert (ended.status, ended.out) == (1, "")
    assert "weights are missing" in ended.err


def test_a_launch_that_is_refused_ends_with_1_and_the_reason(server: Any, ask: Any) -> None:
    server.play({"POST /v1/models": [{"status": 400, "json": {"detail": "no engine can run it"}}]})
    ended = ask("launch", "stoker")
    assert (ended.status, ended.out, ended.err) == (1, "", "Error: No engine can run it\n")


def test_a_model_that_is_terminated_while_it_loads_ends_the_launch(server: Any, ask: Any) -> None:
    gone = {"status": 404, "json": {"detail": "there is no model 'stoker'"}}
    server.play({**LAUNCHED, "GET /v1/models/stoker": [{"json": LOADING}, gone]})
    assert ask("launch", "stoker").status == 1


def test_a_restart_while_loading_shows_why(server: Any, ask: Any) -> None:
    again = {**LOADING, "status": "RESTARTING", "error": "out of memory"}
    server.play({**LAUNCHED, "GET /v1/models/stoker": steps(again, READY)})
    ended = ask("launch", "stoker")
    assert ended.status == 0
    assert "restarting after: out of memory" in ended.err


def test_launch_need_not_wait(server: Any, ask: Any) -> None:
    server.play(LAUNCHED)
    assert ask("launch", "stoker", "--no-wait").out == "stoker\n"
    assert [asked["key"] for asked in server.asked()] == ["POST /v1/models"]


def test_launch_sends_what_its_options_say(server: Any, ask: Any) -> None:
    server.play(LAUNCHED)
    ended = ask(
        *("launch", "--no-wait", "-n", "qwen3", "-t", "LLM", "-en", "transformers", "-u", "mine", "-s", "0_6"),
        *("-f", "pytorch", "-q", "none", "-r", "2", "--n-gpu", "none", "--gpu-idx", "0,1", "-mp", "/weights"),
        *("--enable-thinking", "--trust-remote-code", "-ev", "A", "1", "--env", "B", "2", "--download-hub", "hf"),
        *("-vp", "numpy", "-vp", "scipy", "--enable-virtual-env", "--request-limits", "3", "-lm", "l", "/lora"),
        *("-qc", "bits", "4", "--max_batch", "8", "--dtype", "bfloat16", "--eager"),
    )
    assert ended.status == 0, ended.err
    body = server.asked()[0]["json"]
    assert {key: value for key, value in body.items() if value is not None} == {
        "model_name": "qwen3",
        "model_type": "LLM",
        "model_engine": "transformers",
        "model_uid": "mine",
        "model_size_in_billions": "0_6",
        "model_format": "pytorch",
        "quantization": "none",
        "replica": 2,
        "n_worker": 1,
        "gpu_idx": [0, 1],
        "model_path": "/weights",
        "enable_thinking": True,
        "enable_virtual_env": True,
        "trust_remote_code": True,
        "envs": {"A": "1", "B": "2"},
        "download_hub": "hf",
        "virtual_env_packages": ["numpy", "scipy"],
        "request_limits": 3,
        "peft_model_config": {"lora_list": [{"lora_name": "l", "local_path": "/lora"}]},
        "quantization_config": {"bits": 4},
        "max_batch": 8,
        "dtype": "bfloat16",
        "eager": True,
    }
    assert body["n_gpu"] is None


def test_launch_leaves_unsaid_what_was_not_said(server: Any, ask: Any) -> None:
    server.play(LAUNCHED)
    ask("launch", "stoker", "--no-wait", "--model_size_in_billions", "7")
    body = server.asked()[0]["json"]
    assert body["enable_thinking"] is None
    assert body["n_gpu"] == "auto"
    assert body["model_size_in_billions"] == 7
    assert "trust_remote_code" not in body


def test_options_may_be_spelt_with_underscores(server: Any, ask: Any) -> None:
    server.play(LAUNCHED)
    ask("launch", "--no-wait", "--model_name", "stoker", "--model_path", "/weights", "--trust_remote_code", "True")
    body = server.asked()[0]["json"]
    assert (body["model_name"], body["model_path"], body["trust_remote_code"]) == ("stoker", "/weights", True)


def test_a_launch_of_two_models_at_once_is_wrong_usage(ask: Any) -> None:
    assert ask("launch", "one", "two").status == 2
    assert ask("launch", "one", "-n", "two").status == 2
    assert ask("launch", "one", "--replica", "0").status == 2
    assert ask("launch", "one", "-x").status == 2


def test_an_interrupt_cancels_the_launch(server: Any) -> None:
    cancelled = {"POST /v1/models/stoker/cancel": None}
    server.play({**LAUNCHED, **cancelled, "GET /v1/models/stoker": LOADING})
    command = [sys.executable, "-m", "enginehouse.cli", "launch", "stoker", "-e", server.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    server.wait_for(lambda: server.asked("GET /v1/models/stoker/progress"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "Cancelling" in err
    assert "Traceback" not in err
    assert server.asked("POST /v1/models/stoker/cancel")


def test_list_shows_models_of_every_status(server: Any, ask: Any) -> None:
    ready = {
        **READY,
        "model_type": "LLM",
        "model_engine": "transformers",
        "replica": 1,
        "accelerators": ["0"],
        "context_length": 512,
    }
    failed = {**FAILED, "id": "other", "error": "[weights] are missing"}
    server.play({"GET /v1/models": {"data": [ready, failed]}})
    ended = ask("list")
    header, first, second = ended.out.splitlines()
    assert header.split()[:5] == ["UID", "NAME", "TYPE", "ENGINE", "STATUS"]
    assert first.split() == ["stoker", "stoker", "LLM", "transformers", "READY", "1", "0", "512"]
    assert second.split()[-3:] == ["[weights]", "are", "missing"]
    assert server.asked()[0]["query"] == {"all": "true"}


def test_list_gives_json(server: Any, ask: Any) -> None:
    server.play({"GET /v1/models": {"data": [READY]}})
    assert json.loads(ask("list", "--json").out) == [READY]


def test_list_of_nothing_says_so_on_stderr(server: Any, ask: Any) -> None:
    server.play({"GET /v1/models": {"data": []}})
    ended = ask("list")
    assert (ended.status, ended.out) == (0, "")
    assert "No models" in ended.err


def test_terminate_stops_several_models(server: Any, ask: Any) -> None:
    server.play({f"DELETE /v1/models/{uid}": None for uid in "abc"})
    assert ask("terminate", "--model-uid", "a", "-u", "b", "c").status == 0
    assert [asked["key"] for asked in server.asked()] == [f"DELETE /v1/models/{uid}" for uid in "abc"]


def test_terminate_goes_on_after_a_refusal(server: Any, ask: Any) -> None:
    refusal = {"status": 400, "json": {"detail": "there is no model 'a'"}}
    server.play({"DELETE /v1/models/a": [refusal], "DELETE /v1/models/b": None})
    ended = ask("terminate", "a", "b")
    assert ended.status == 1
    assert "there is no model 'a'" in ended.err
    assert "Terminated b" in ended.err
