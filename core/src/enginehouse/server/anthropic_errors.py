"""Errors in Anthropic's shape."""

from __future__ import annotations

import os
from typing import Any

from .chat_events import Refusal

Json = dict[str, Any]

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_of(refusal: Refusal, request_id: str) -> Json:
    """503 is an `overloaded_error` as their own 529 is, which few proxies know as a status."""
    kind = _KINDS.get(refusal.status) or ("invalid_request_error" if refusal.status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": request_id}


def headers_of(request_id: bytes) -> list[tuple[bytes, bytes]]:
    """The id under Anthropic's name and under everybody else's."""
    return [(b"request-id", request_id), (b"x-request-id", request_id)]


def speaks_anthropic(path: str) -> bool:
    """Whether a path belongs to Anthropic's surface."""
    return path.startswith(("/anthropic/", "/v1/messages"))


def restate(status: int, wire: Json, request_id: str = "") -> tuple[Json, dict[str, str]]:
    """An error body of the other routes in this shape, and its headers."""
    request_id = request_id or os.urandom(12).hex()
    refusal = Refusal(status, str(wire.get("detail", "")), "")
    return error_of(refusal, request_id), {"request-id": request_id, "x-request-id": request_id}
