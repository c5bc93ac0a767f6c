"""The API's description against a real server: what it says of requests and answers holds, whatever is sent.

Schemathesis makes the requests, the same ones in every run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUN_SECONDS = 600  # a run takes 10 to 30 s here; a busy machine may take ten times as long
REQUEST_SECONDS = 240  # some requests launch models, and wait for them
NOWHERE = "http://127.0.0.1:9"  # a hub that refuses at once: a made-up name must not be looked for on the internet
RULES = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", "503"]  # 503 is not now, with the reason; whether it is documented is checked too
"""
KNOWN = """
[parameters]
"path.uid" = "fake-model"
"path.model_type" = "LLM"
"path.model_name" = "fake-model"
"path.name" = "fake-model"
"""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
INFERENCE = ("inference", "anthropic", "responses")


@pytest.fixture(scope="module")
def server(new_server_of_module: Callable[..., Any]) -> Any:
    return new_server_of_module(HF_ENDPOINT=NOWHERE, UV_OFFLINE="1", ENGINEHOUSE_DRAIN_SECONDS="1")


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., int]:
    """Runs Schemathesis with these options; the number of operations that it found nothing wrong with."""

    def run(server: Any, *options: str, rules: str = RULES, checks: tuple[str, ...] = CHECKS) -> int:
        (tmp_path / "rules.toml").write_text(rules)
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "rules.toml", "run"]
        command += [f"{server.url}/openapi.json", "--generation-deterministic", "--continue-on-failure", "--no-color"]
        command += ["--request-timeout", str(REQUEST_SECONDS), "--suppress-health-check", "all"]
        # of names that it met in answers it would end the server, and block the plugin that other tests need
        command += ["--exclude-operation-id", "end_server", "--exclude-operation-id", "block_plugin"]
        command += ["--checks", ",".join(checks), *options]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_SECONDS)
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        assert "Traceback" not in server.log(), server.log()[-8000:]
        selected = re.search(r"Selected: (\d+)", ran.stdout)
        assert selected, ran.stdout
        return int(selected.group(1))

    return run


def test_administrative_routes_take_anything(server: Any, check: Callable[..., int]) -> None:
    server.launch(model_engine="fake")
    options = ["--phases", "coverage,fuzzing", "--max-examples", "4"]
    options += [option for tag in INFERENCE for option in ("--exclude-tag", tag)]
    more = ("negative_data_rejection", "unsupported_method", "allow_header_conformance")
    assert check(server, *options, checks=(*CHECKS, *more)) > 50


def test_answers_about_a_model_that_runs(server: Any, check: Callable[..., int]) -> None:
    server.launch(model_engine="fake")
    options = ["--phases", "coverage,fuzzing", "--max-examples", "5", "--include-method", "GET", "--mode", "positive"]
    assert check(server, *options, "--exclude-operation-id", "get_request_progress", rules=RULES + KNOWN) > 30


def test_inference_takes_anything(server: Any, check: Callable[..., int]) -> None:
    options = ["--phases", "fuzzing", "--max-examples", "6"]
    assert check(server, *options, *(option for tag in INFERENCE for option in ("--include-tag", tag))) > 10


def test_who_has_no_key_is_refused_as_described(new_server: Callable[..., Any], check: Callable[..., int]) -> None:
    server = new_server(HF_ENDPOINT=NOWHERE, UV_OFFLINE="1", ENGINEHOUSE_REQUIRE_KEY="1")
    assert check(server, "--phases", "fuzzing", "--max-examples", "2", "--mode", "positive") > 60
