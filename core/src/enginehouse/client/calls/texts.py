"""Calls of models that work on text. Each function is a method of a handle."""

from __future__ import annotations

import json
from typing import Any

from ..call import UNBOUNDED, Call, Json, as_is, as_object


def chat(
    model_uid: str,
    /,
    messages: list[Json],
    tools: list[Json] | None = None,
    enable_thinking: bool | None = None,
    generate_config: Json | None = None,
) -> Call[Json]:
    """An answer to a conversation (OpenAI's chat completions); its events when generate_config has `stream`."""
    body: Json = {"model": model_uid, "messages": messages}
    if tools is not None:
        body["tools"] = tools
    body |= generate_config or {}
    if enable_thinking is not None:
        switches = {"enable_thinking": enable_thinking, "thinking": enable_thinking}
        body["chat_template_kwargs"] = {**_template_options(body), **switches}
    return _infer("chat with the model", "/v1/chat/completions", body)


def generate(model_uid: str, /, prompt: Any, generate_config: Json | None = None) -> Call[Json]:
    """A continuation of a text (OpenAI's completions); its events when generate_config has `stream`."""
    body = {"model": model_uid, "prompt": prompt, **(generate_config or {})}
    return _infer("generate with the model", "/v1/completions", body)


def create_embedding(model_uid: str, /, input: Any, **kwargs: Any) -> Call[Json]:
    """Vectors of one or many inputs (OpenAI's embeddings). kwargs go into the request: dimensions, ..."""
    return _ask("create the embeddings", "/v1/embeddings", {"model": model_uid, "input": input, **kwargs}, as_object)


def convert_ids_to_tokens(model_uid: str, /, input: list[int] | list[list[int]], **kwargs: Any) -> Call[list[Any]]:
    """The tokens that ids stand for; lists of them for lists of ids."""
    body = {"model": model_uid, "input": input, **kwargs}
    return _ask("convert the ids to tokens", "/v1/convert_ids_to_tokens", body, as_is)


def rerank(
    model_uid: str,
    /,
    documents: list[Any],
    query: Any,
    top_n: int | None = None,
    max_chunks_per_doc: int | None = None,
    return_documents: bool | None = None,
    return_len: bool | None = None,
    **kwargs: Any,
) -> Call[Json]:
    """Documents by how well each answers the query: {"results": [{"index", "relevance_score", ...}], ...}."""
    body = {
        "model": model_uid,
        "documents": documents,
        "query": query,
        "top_n": top_n,
        "max_chunks_per_doc": max_chunks_per_doc,
        "return_documents": return_documents,
        "return_len": return_len,
        "kwargs": json.dumps(kwargs),  # servers read either; Xinference's client sends both
        **kwargs,
    }
    return _ask("rerank the documents", "/v1/rerank", body, as_object)


def _infer(action: str, path: str, body: Json) -> Call[Json]:
    return Call(
        action=action,
        method="POST",
        path=path,
        body=body,
        read_seconds=UNBOUNDED,
        decode=as_object,
        streams=bool(body.get("stream")),
    )


def _ask(action: str, path: str, body: Json, decode: Any) -> Call[Any]:
    return Call(action=action, method="POST", path=path, body=body, read_seconds=UNBOUNDED, decode=decode)


def _template_options(body: Json) -> Json:
    given = body.get("chat_template_kwargs") or {}
    return dict(json.loads(given) if isinstance(given, str) else given)
