"""A real model: stoker, which the plugin `miniatures` ships."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from enginehouse.sdk import Message

SPEC = importlib.util.find_spec("enginehouse_miniatures")
FOLDER = Path(SPEC.origin).parent / "models" / "stoker" if SPEC and SPEC.origin else Path("absent")


@pytest.fixture(scope="module")
def stoker(start: Any) -> Any:
    return start(FOLDER)


async def test_it_answers_a_question_and_ends_by_itself(stoker: Any, ask: Any) -> None:
    prompt = stoker.chat_prompt((Message(role="user", content="What is the capital of France?"),), (), {})
    answer = await ask(stoker, prompt, temperature=0, max_tokens=60, special_tokens=True)
    assert "Paris" in answer.text and answer.finish_reason == "stop"


async def test_thirty_two_at_once_get_the_answers_they_get_alone(stoker: Any, ask: Any, alone: Any) -> None:
    prompts = [stoker.tokenize(f"Number {index} " + "and more " * (index % 5)) for index in range(32)]
    wish = {"temperature": 0, "max_tokens": 24, "ignore_eos": True, "logprobs": 0}
    answers = await asyncio.gather(*(ask(stoker, ids, **wish) for ids in prompts))
    got = [[found.token_id for found in answer.logprobs] for answer in answers]
    assert got == [alone(FOLDER, ids, 24) for ids in prompts]
