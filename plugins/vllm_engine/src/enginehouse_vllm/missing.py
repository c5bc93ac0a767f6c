"""Routes that neither vLLM nor the runner has: told apart from what a route of vLLM's answers with 404 itself."""

from __future__ import annotations

from .inside import Message, Send

_NOT_FOUND = (b'{"detail":"Not Found"}', b"Not Found")  # as FastAPI and Starlette say that there is no such route


class Missing:
    """Passes an answer on, unless it is that there is no such route: then nothing is sent, and `is_missing`."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun: Message | None = None
        self.is_missing = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 404:
            self._begun = message
            return
        if self._begun is not None:
            begun, self._begun = self._begun, None
            if message.get("body") in _NOT_FOUND:
                self.is_missing = True
                return
            await self._send(begun)
        await self._send(message)
