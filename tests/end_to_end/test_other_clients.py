"""LangChain and LlamaIndex as they come from the package index, against a real server with stoker."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

PROGRAM_SECONDS = 300.0  # a dozen requests, and imports on a busy machine
QUESTION = "What is the largest animal?"

langchain_openai = pytest.importorskip("langchain_openai", reason="pip install langchain-openai")


@pytest.fixture(scope="module")
def stoker(server):
    server.launch("stoker", model_engine="transformers")
    return server


@pytest.fixture
def chat(stoker):
    return langchain_openai.ChatOpenAI(base_url=f"{stoker.url}/v1", api_key="none", model="stoker", temperature=0)


def test_langchains_openai_chat(chat) -> None:
    assert "blue whale" in chat.invoke(QUESTION).content
    assert "blue whale" in "".join(chunk.content for chunk in chat.stream(QUESTION))
    answers = chat.batch([QUESTION, "What is 12 plus 30?"])
    assert "blue whale" in answers[0].content and "42" in answers[1].content


async def test_langchains_openai_chat_async(chat) -> None:
    assert "blue whale" in (await chat.ainvoke(QUESTION)).content
    assert "blue whale" in "".join([chunk.content async for chunk in chat.astream(QUESTION)])


def test_langchains_tools(chat) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool

    @tool
    def get_weather(city: str) -> str:
        """Get the weather of a city"""
        return city

    question = HumanMessage("What is the weather in Paris?")
    bound = chat.bind_tools([get_weather])
    first = bound.invoke([question])
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    second = bound.invoke([question, first, ToolMessage('{"weather": "sunny"}', tool_call_id=call["id"])])
    assert second.content


def test_langchain_by_responses(stoker) -> None:
    model = langchain_openai.ChatOpenAI(
        base_url=f"{stoker.url}/v1", api_key="none", model="stoker", temperature=0, use_responses_api=True
    )
    assert "blue whale" in model.invoke(QUESTION).text
    assert "blue whale" in "".join(chunk.text for chunk in model.stream(QUESTION))


async def test_langchains_xinference(stoker) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package says of itself that it is no longer the newest
        llms = pytest.importorskip("langchain_community.llms", reason="pip install langchain-community")
        llm = llms.Xinference(server_url=stoker.url, model_uid="stoker")
    config = {"max_tokens": 12, "temperature": 0}
    whole = llm.invoke("The largest animal is", generate_config=config)
    assert "whale" in whole
    config["stream"] = True  # it does not add this by itself
    assert "".join(llm.stream("The largest animal is", generate_config=config)) == whole
    assert "".join([piece async for piece in llm.astream("The largest animal is", generate_config=config)]) == whole


@pytest.fixture(scope="module")
def llama_index(stoker):
    """What the program made of the model, in the environment that `make install` makes beside this one."""
    python = Path(sys.prefix) / "llama-index" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make install` makes the environment of LlamaIndex")
    program = Path(__file__).with_name("llama_index_program.py")
    command = [str(python), str(program), stoker.url, QUESTION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "way",
    [
        *("complete", "stream_complete", "chat", "stream_chat"),
        *("acomplete", "astream_complete", "achat", "astream_chat", "continue"),
    ],
)
def test_llama_index_answers(llama_index, way) -> None:
    assert "whale" in llama_index[way]
    assert way == "continue" or llama_index[way] == llama_index["complete"]


def test_llama_index_calls_tools(llama_index) -> None:
    assert llama_index["tools"] == [["get_weather", {"city": "Paris"}]]


def test_llama_index_is_told_what_is_wrong(llama_index) -> None:
    assert "nobody" in llama_index["unknown"]
