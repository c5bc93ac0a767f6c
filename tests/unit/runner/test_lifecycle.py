"""A worker's life: loading, ready, draining, gone."""

import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from enginehouse.sdk import Failure, Health


def test_health_answers_while_loading(start, wait) -> None:
    runner = start(load_seconds=0.6).listening()
    answer = runner.client.get("/health")
    assert answer.status_code == 503 and answer.json()["state"] == "loading"
    assert set(answer.json()) == set(Health.__struct_fields__)
    refused = runner.chat()
    assert refused.status_code == 503 and refused.headers["retry-after"]
    assert refused.json()["error"]["code"] == "model_loading"
    wait(lambda: 0 < runner.health()["progress"] < 1 and runner.health()["stage"] == "pretending to load")
    runner.ready()
    answer = runner.client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["progress"] == 1.0 and answer.json()["context_length"] == 4096


def test_the_socket_is_its_owners_only(plain) -> None:
    mode = Path(plain.order.socket).stat().st_mode
    assert stat.S_ISSOCK(mode) and mode & 0o777 == 0o600


def test_the_model_is_listed(plain) -> None:
    model = plain.client.get("/v1/models").json()["data"][0]
    assert model["id"] == "m" and model["object"] == "model" and model["owned_by"] == "enginehouse"


def test_metrics(plain, wait) -> None:
    plain.chat(max_tokens=2)
    wait(lambda: "enginehouse_worker_in_flight 0" in plain.metrics())  # counted once the answer is out
    text = plain.metrics()
    for name in ("requests_total{task=", "generated_tokens_total ", "prompt_tokens_total ", "in_flight 0"):
        assert f"enginehouse_worker_{name}" in text
    assert "enginehouse_worker_first_token_seconds_count" in text


def test_a_load_that_raises_leaves_a_failure(start) -> None:
    runner = start(load_crash="raise")
    assert runner.exit() == 1
    failure = Failure(**json.loads((runner.folder / "failure.json").read_bytes()))
    assert failure.code == "launch_failed" and "failed to load, as it was told" in failure.message
    assert "Traceback" in failure.detail and "Traceback" in runner.log()
    assert not Path(runner.order.socket).exists()


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"engine": "no_such_module:Engine"}, "no_such_module"),
        ({"engine": "enginehouse_fake.engine:Nothing"}, "Nothing"),
    ],
)
def test_an_engine_that_is_not_there_leaves_a_failure(start, order, words) -> None:
    runner = start(order)
    assert runner.exit() == 1
    assert words in json.loads((runner.folder / "failure.json").read_bytes())["message"]


def test_a_wrong_option_leaves_a_failure(start) -> None:
    runner = start(tokens="many")
    assert runner.exit() == 1
    assert "tokens" in json.loads((runner.folder / "failure.json").read_bytes())["message"]


@pytest.mark.parametrize(("how", "status"), [("exit", 3), ("segv", -11)])
def test_a_process_that_dies_while_loading(start, how, status) -> None:
    assert start(load_crash=how).exit() == status


def test_sigterm_drains(start, wait, events) -> None:
    runner = start(tokens=100, token_seconds=0.02).ready()
    texts: list[str] = []

    def ask() -> None:
        with runner.new_client() as client:
            texts.append(client.post("/v1/completions", json={"model": "m", "prompt": "x", "stream": True}).text)

    thread = threading.Thread(target=ask)
    thread.start()
    wait(lambda: runner.health()["in_flight"] == 1)
    runner.process.terminate()
    wait(lambda: runner.health()["state"] == "draining")
    refused = runner.complete()
    assert refused.status_code == 503 and "shutting down" in refused.json()["detail"]
    thread.join(10)
    assert runner.exit() == 0
    assert len(events(texts[0])) == 100
    assert not Path(runner.order.socket).exists()


def test_the_keepers_death_drains_too(start) -> None:
    runner = start().ready()
    assert runner.process.stdin is not None
    runner.process.stdin.close()
    assert runner.exit() == 0


def test_requests_that_outlive_the_drain_are_told(start, wait) -> None:
    runner = start({"drain_seconds": 0.2}, stall_at_token=2).ready()
    answers = []

    def ask(stream: bool) -> None:
        with runner.new_client() as client:
            answers.append(client.post("/v1/completions", json={"model": "m", "prompt": "x", "stream": stream}))

    threads = [threading.Thread(target=ask, args=(stream,)) for stream in (False, True)]
    for thread in threads:
        thread.start()
    wait(lambda: runner.health()["in_flight"] == 2)
    runner.process.terminate()
    for thread in threads:
        thread.join(10)
    assert runner.exit() == 0
    assert sorted(answer.status_code for answer in answers) == [200, 503]
    for answer in answers:
        assert "worker_lost" in answer.text


def test_sigterm_while_loading_leaves_at_once(start) -> None:
    runner = start(load_seconds=60).listening()
    runner.process.terminate()
    assert runner.exit() == 0


def test_an_engine_can_ignore_sigterm(start, wait) -> None:
    runner = start(ignore_sigterm=True).ready()
    runner.process.terminate()
    for _ in range(5):
        assert runner.chat().status_code == 200
    assert runner.health()["state"] == "ready"


def test_a_wrong_call_shows_usage() -> None:
    done = subprocess.run([sys.executable, "-m", "enginehouse.runner"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "usage" in done.stderr


def test_a_folder_without_an_order_fails(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "enginehouse.runner", str(tmp_path)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1 and (tmp_path / "failure.json").exists()


def test_a_socket_path_that_is_too_long_fails_with_the_reason(tmp_path, start) -> None:
    import msgspec

    runner = start().ready()
    order = msgspec.structs.replace(runner.order, socket=str(tmp_path / ("x" * 120)))
    (tmp_path / "order.json").write_bytes(msgspec.json.encode(order))
    done = subprocess.run(
        [sys.executable, "-m", "enginehouse.runner", str(tmp_path)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert "AF_UNIX path too long" in json.loads((tmp_path / "failure.json").read_bytes())["message"]
