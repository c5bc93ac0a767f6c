"""Stoker and tiny random models as GGUF files, made on the spot; and a way to ask an engine directly."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from enginehouse.sdk import Constraint, EngineContext, GenerateRequest, Piece, Sampling
from enginehouse_llamacpp.convert.conversion import Conversion, convert
from enginehouse_llamacpp.engine import LlamaCppEngine
from enginehouse_llamacpp.options import LlamaCppOptions

ANSWER_SECONDS = 60.0  # of the longest answer here, on a machine that does other things beside


class Answer(NamedTuple):
    """All pieces of an answer, and what they add up to."""

    pieces: list[Piece]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def tokens(self) -> int:
        return sum(piece.tokens for piece in self.pieces)

    @property
    def finish_reason(self) -> str | None:
        return self.pieces[-1].finish_reason

    @property
    def logprobs(self) -> list[Any]:
        return [found for piece in self.pieces for found in piece.logprobs]


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


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    """`await start(file, **options)`: an engine; all are closed at the end."""
    engines = []

    async def load(file: Path, *, context: dict[str, Any] | None = None, **options: Any) -> LlamaCppEngine:
        given = {"model_uid": "tiny", "device": "cpu", "model_path": file, **(context or {})}
        engine = LlamaCppEngine(EngineContext(options=LlamaCppOptions(**options), **given))
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
def ask() -> Callable[..., Any]:
    """`await ask(engine, prompt, **sampling)`: the whole answer."""

    async def run(
        engine: LlamaCppEngine,
        prompt: str | list[int],
        *,
        special_tokens: bool = True,
        constraint: Constraint | None = None,
        lora_name: str | None = None,
        **sampling: Any,
    ) -> Answer:
        request = GenerateRequest(
            request_id="r",
            prompt=prompt,
            sampling=Sampling(**{"temperature": 0.0, **sampling}),
            special_tokens=special_tokens,
            constraint=constraint,
            lora_name=lora_name,
        )
        async with asyncio.timeout(ANSWER_SECONDS):
            return Answer([piece async for piece in engine.generate(request)])

    return run
