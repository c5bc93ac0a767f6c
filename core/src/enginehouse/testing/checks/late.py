"""Requests whose body has come in half: they stand in a worker as long as a check wants them to."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection
from typing import Any

import httpx

from .speaking import Said
from .stage import ANSWER_SECONDS, Stage


class Late:
    """A request whose body has come in half: the worker counts it, and no engine can be done with it."""

    def __init__(self, stage: Stage, path: str, body: dict[str, Any]) -> None:
        self._path, self._data = path, json.dumps(body).encode()
        self._line = HTTPConnection("worker", timeout=ANSWER_SECONDS)
        self._line.sock = socket.socket(socket.AF_UNIX)
        self._line.sock.settimeout(ANSWER_SECONDS)
        self._line.sock.connect(stage.house.socket(stage.uid))
        self._line.putrequest("POST", path)
        self._line.putheader("content-type", "application/json")
        self._line.putheader("content-length", str(len(self._data)))
        self._line.endheaders(self._data[:1])

    def end(self) -> Said:
        """Sends the rest; what comes."""
        self._line.send(self._data[1:])
        answer = self._line.getresponse()
        text = answer.read().decode(errors="replace")
        sent = f"POST {self._path} {self._data.decode()}, its body in two parts"
        return Said(sent, answer.status, httpx.Headers(answer.getheaders()), text)

    def leave(self) -> None:
        self._line.close()
