"""HTTP with a worker or a gateway: what was said, what came, and short ways to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from .check import Failed

PROMPT = "Count from 1 to 20."
TOKENS = 24  # of an answer: long enough to see several pieces, short enough to be quick
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
EMBEDDINGS, RERANK, TOKENIZE = "/v1/embeddings", "/v1/rerank", "/v1/tokenize"


class Said:
    """One exchange. sent: what was asked, for people."""

    def __init__(self, sent: str, status: int, headers: httpx.Headers, text: str) -> None:
        self.sent, self.status, self.headers, self.text = sent, status, headers, text

    def must(self, holds: object, expected: str) -> Said:
        """Raises Failed, with all of this exchange, unless `holds`."""
        if not holds:
            raise Failed(self.sent, f"{self.status} {self.text}", expected)
        return self

    def ok(self) -> Said:
        return self.must(self.status == 200, "status 200")

    def refused(self, status: int = 400, code: str = "", param: str = "") -> Said:
        """An error of this status, in the one shape of errors; with this code, naming this field."""
        self.must(self.status == status, f"status {status}")
        error = self.json().get("error") if isinstance(self.json(), dict) else None
        self.must(isinstance(error, dict) and error.get("message"), "an `error` object with a `message`")
        told = error if isinstance(error, dict) else {}
        self.must(not code or told.get("code") == code, f"the error code {code!r}")
        self.must(not param or param in str(told.get("param")), f"`param` naming {param!r}")
        return self

    def json(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            raise Failed(self.sent, f"{self.status} {self.text}", "an answer in JSON") from None

    @property
    def choice(self) -> dict[str, Any]:
        """The first choice of the answer."""
        return self.choices[0]

    @property
    def choices(self) -> list[dict[str, Any]]:
        found = self.json().get("choices")
        self.must(isinstance(found, list) and found, "at least one choice")
        return list(found)

    @property
    def content(self) -> str:
        """The first choice's text, of a completion or a chat."""
        first = self.choice
        return str(first["text"] if "text" in first else first["message"].get("content") or "")

    @property
    def usage(self) -> dict[str, int]:
        usage = self.json().get("usage")
        self.must(isinstance(usage, dict), "a `usage` object")
        return dict(usage)

    def events(self) -> list[dict[str, Any]]:
        """The JSON of each event of a stream, `[DONE]` left out. Raises Failed for a line that is none."""
        found = []
        for line in self.text.split("\n"):
            line = line.rstrip("\r")
            if line.startswith("data:") and line[5:].strip() != "[DONE]":
                found.append(self._event(line[5:]))
            else:
                fine = not line or line.startswith((":", "event:", "data:", "id:", "retry:"))
                self.must(fine, "lines of server-sent events only")
        self.must(found, "at least one event")
        return found

    def _event(self, text: str) -> dict[str, Any]:
        try:
            return dict(json.loads(text))
        except ValueError:
            raise Failed(self.sent, text, "JSON in every event") from None

    def pieces(self, index: int = 0) -> list[dict[str, Any]]:
        """What a stream's events hold of one choice."""
        return [one for event in self.events() for one in event.get("choices") or () if one["index"] == index]

    def streamed(self, index: int = 0) -> str:
        """The text that a stream's events make together."""
        return "".join(_text_of(piece) for piece in self.pieces(index))


def _text_of(piece: dict[str, Any]) -> str:
    return str(piece.get("text") or (piece.get("delta") or {}).get("content") or "")


class Speaker:
    """Asks one model, greedily and briefly unless a field says otherwise; a field of None is left out."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self.client, self.model = client, model

    def get(self, path: str) -> Said:
        answer = self.client.get(path)
        return Said(f"GET {path}", answer.status_code, answer.headers, answer.text)

    def post(self, path: str, body: dict[str, Any] | bytes) -> Said:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = f"POST {path} {content.decode(errors='replace')}"
        answer = self.client.post(path, content=content, headers={"content-type": "application/json"})
        return Said(sent, answer.status_code, answer.headers, answer.text)

    def complete(self, prompt: Any = PROMPT, **fields: Any) -> Said:
        return self.post(COMPLETIONS, self.completion(prompt, **fields))

    def chat(self, content: Any = PROMPT, **fields: Any) -> Said:
        return self.post(CHAT, self.conversation(content, **fields))

    def completion(self, prompt: Any = PROMPT, **fields: Any) -> dict[str, Any]:
        return self._body({"prompt": prompt, "temperature": 0, "max_tokens": TOKENS, **fields})

    def conversation(self, content: Any = PROMPT, **fields: Any) -> dict[str, Any]:
        """content: what the user says, or all messages."""
        spoken = isinstance(content, str) or (content and "type" in content[0])
        messages = [{"role": "user", "content": content}] if spoken else content
        return self._body({"messages": messages, "temperature": 0, "max_tokens": TOKENS, **fields})

    def embed(self, texts: Any, **fields: Any) -> Said:
        return self.post(EMBEDDINGS, self._body({"input": texts, **fields}))

    def rank(self, query: Any, documents: Any, **fields: Any) -> Said:
        return self.post(RERANK, self._body({"query": query, "documents": documents, **fields}))

    def _body(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"model": self.model, **{key: value for key, value in fields.items() if value is not None}}

    @contextmanager
    def opened(self, path: str, body: dict[str, Any]) -> Iterator[httpx.Response]:
        """A stream as it comes; leaving it closes the connection."""
        with self.client.stream("POST", path, json=body) as answer:
            yield answer
