"""LangChain and llama-index as they come from the package index, and curl, against a real server with stoker."""

import json
import subprocess
import warnings

import pytest

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


def test_llama_index(stoker) -> None:
    """It wants an openai package below 3, so it may be missing beside the newest."""
    module = pytest.importorskip("llama_index.llms.openai_like", reason="pip install llama-index-llms-openai-like")
    from llama_index.core.llms import ChatMessage

    llm = module.OpenAILike(
        api_base=f"{stoker.url}/v1", api_key="none", model="stoker", is_chat_model=True, temperature=0, max_tokens=64
    )
    assert "blue whale" in llm.complete(QUESTION).text
    assert "blue whale" in llm.chat([ChatMessage(role="user", content=QUESTION)]).message.content
    deltas = [chunk.delta or "" for chunk in llm.stream_chat([ChatMessage(role="user", content=QUESTION)])]
    assert "blue whale" in "".join(deltas)


def test_curl(stoker) -> None:
    body = json.dumps({"model": "stoker", "temperature": 0, "messages": [{"role": "user", "content": QUESTION}]})
    command = ["curl", "-sS", f"{stoker.url}/v1/chat/completions", "-H", "Content-Type: application/json", "-d", body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert "blue whale" in json.loads(done.stdout)["choices"][0]["message"]["content"]
