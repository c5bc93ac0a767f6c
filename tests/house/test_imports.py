"""Who imports what: looked at in fresh interpreters, by sys.modules."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "numpy", "vllm", "llama_cpp", "sentence_transformers", "diffusers", "ray", "jinja2"}
SERVER_ONLY = {"fastapi", "sqlalchemy", "aiohttp", "pydantic", "opentelemetry"}
TRACING = {"google", "requests"}  # what sending traces needs: protobuf, and an HTTP client


def modules_after(code: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter holds after running `code`."""
    show = "; import sys, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code + show], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_the_whole_server_with_all_plugins_holds_no_engine_library(tmp_path) -> None:
    code = (
        "import enginehouse.server.serve, enginehouse.host.house; "
        "from enginehouse.host.plugins import load_plugins; "
        "from enginehouse.host.settings import Settings; from pathlib import Path; "
        f"census = load_plugins(Settings(home=Path({str(tmp_path)!r}))); "
        "assert len(census.contributions.engines) >= 2"
    )
    assert not modules_after(code) & (HEAVY | TRACING)


def test_the_contract_needs_little() -> None:
    unneeded = {"starlette", "uvicorn", "httpx", "asyncio", "subprocess"}
    assert not modules_after("import enginehouse.sdk") & (HEAVY | SERVER_ONLY | unneeded)


def test_the_runner_needs_nothing_of_the_servers() -> None:
    assert not modules_after("import enginehouse.runner.application") & (HEAVY | SERVER_ONLY)


def test_the_keeper_needs_the_standard_library_only() -> None:
    foreign = HEAVY | SERVER_ONLY | {"msgspec", "pluggy", "asyncio"}
    assert not modules_after("import enginehouse.keeper.keeper") & foreign


@pytest.mark.parametrize(
    "plugin",
    ["enginehouse_transformers.plugin", "enginehouse_sentence_transformers.plugin", "enginehouse_miniatures.plugin"],
)
def test_light_halves_are_light(plugin: str) -> None:
    assert not modules_after(f"import {plugin}") & (HEAVY | SERVER_ONLY)
