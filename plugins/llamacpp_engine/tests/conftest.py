"""Stoker and tiny random models as GGUF files, made on the spot; and a way to ask an engine directly."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from enginehouse.sdk import EngineContext
from enginehouse_llamacpp.binding import PACKAGES
from enginehouse_llamacpp.convert.conversion import Conversion, convert
from enginehouse_llamacpp.engine import LlamaCppEngine
from enginehouse_llamacpp.options import LlamaCppOptions


@pytest.fixture(scope="session")
def stoker_folder() -> Path:
    spec = importlib.util.find_spec("enginehouse_miniatures")
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "models" / "stoker"


@pytest.fixture(scope="session")
def stoker(stoker_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """stoker.gguf, float32."""
    file = tmp_path_factory.mktemp("gguf") / "stoker.gguf"
    convert(Conversion(stoker_folder, file, "f32"))
    return file


Start = Callable[..., Awaitable[LlamaCppEngine]]


@pytest.fixture(scope="session", params=PACKAGES)
def binding(request: pytest.FixtureRequest) -> str:
    """Each binding that is installed; llama-cpp-python takes minutes to build, so `make bindings` brings it."""
    if not importlib.util.find_spec(request.param):
        pytest.skip(f"{PACKAGES[request.param]} is not installed: make bindings")
    return str(request.param)


@pytest.fixture(scope="session")
def start(binding: str) -> Iterator[Start]:
    """`await start(file, **options)`: an engine; all are closed at the end."""
    engines = []

    async def load(file: Path, *, context: dict[str, Any] | None = None, **options: Any) -> LlamaCppEngine:
        given = {"model_uid": "tiny", "device": "cpu", "model_path": file, **(context or {})}
        engine = LlamaCppEngine(EngineContext(options=LlamaCppOptions(**{"binding": binding, **options}), **given))
        await engine.load()
        engines.append(engine)
        return engine

    yield load
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def engine(stoker: Path, start: Start) -> LlamaCppEngine:
    return asyncio.run(start(stoker, context={"context_length": 1024, "stop_token_ids": (2, 0)}))


@pytest.fixture
def ask(ask_engine: Callable[..., Any]) -> Callable[..., Any]:
    """`await ask(engine, prompt, **sampling)`: the whole answer, greedy unless it says otherwise."""
    return partial(ask_engine, special_tokens=True, temperature=0.0)
