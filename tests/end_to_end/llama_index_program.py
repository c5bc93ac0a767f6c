"""A program as users of LlamaIndex write it: asks a model in every way there is, and prints the answers as JSON.

Run by a test, in an environment of its own: python llama_index_program.py URL QUESTION
"""

from __future__ import annotations

import asyncio
import json
import sys

import openai
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def get_weather(city: str) -> str:
    """Get the weather of a city"""
    return f"It is sunny in {city}."


def main(url: str, question: str) -> None:
    llm = OpenAILike(
        api_base=f"{url}/v1",
        api_key="none",
        model="stoker",
        is_chat_model=True,
        is_function_calling_model=True,
        temperature=0,
        max_tokens=64,
    )
    answers = ask(llm, question) | asyncio.run(ask_without_waiting(llm, question)) | fail(llm, question)
    print(json.dumps(answers))


def ask(llm: OpenAILike, question: str) -> dict[str, object]:
    messages = [ChatMessage(role="user", content=question)]
    called = llm.chat_with_tools([FunctionTool.from_defaults(get_weather)], "What is the weather in Paris?")
    continued = llm.model_copy(update={"is_chat_model": False})
    return {
        "complete": llm.complete(question).text,
        "stream_complete": "".join(chunk.delta or "" for chunk in llm.stream_complete(question)),
        "chat": llm.chat(messages).message.content,
        "stream_chat": "".join(chunk.delta or "" for chunk in llm.stream_chat(messages)),
        "continue": continued.complete("The largest animal is").text,
        "tools": [[call.tool_name, call.tool_kwargs] for call in llm.get_tool_calls_from_response(called)],
    }


async def ask_without_waiting(llm: OpenAILike, question: str) -> dict[str, object]:
    messages = [ChatMessage(role="user", content=question)]
    return {
        "acomplete": (await llm.acomplete(question)).text,
        "astream_complete": "".join([chunk.delta or "" async for chunk in await llm.astream_complete(question)]),
        "achat": (await llm.achat(messages)).message.content,
        "astream_chat": "".join([chunk.delta or "" async for chunk in await llm.astream_chat(messages)]),
    }


def fail(llm: OpenAILike, question: str) -> dict[str, object]:
    """What it raises for a model that is not there."""
    try:
        llm.model_copy(update={"model": "nobody"}).complete(question)
    except openai.NotFoundError as error:
        return {"unknown": str(error)}
    return {"unknown": None}


if __name__ == "__main__":
    main(*sys.argv[1:])
