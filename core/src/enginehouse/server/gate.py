"""The gate: every request passes here first. Who asks, whether they may, and a line of what they change."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..host.account import Account
from ..host.audit import Act, AuditLog
from ..host.keys import Keys
from ..sdk import EnginehouseError, NotAllowed
from ..sdk.errors import Unauthenticated
from .arrivals import read_heading, refuse_foreign_page
from .billing import CALLER
from .errors import send_error
from .permissions import Rule, Rules

CLIENT_CLOSED = 499
_ACT = "enginehouse.act"
_READING = ("GET", "HEAD", "OPTIONS")
_BEARER = b"bearer "


class Gate:
    """ASGI, around the whole application."""

    def __init__(self, inner: ASGIApp, rules: Rules, keys: Keys, audit: AuditLog) -> None:
        self._inner = inner
        self._rules = rules
        self._keys = keys
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._inner(scope, receive, send)
        rule = self._rules.of(scope)
        if rule.permission == "admin" and scope["method"] not in _READING:
            return await self._administer(rule, scope, receive, send)
        try:
            self._admit(rule, scope)
        except EnginehouseError as error:
            return await send_error(send, error, read_heading(scope["headers"]).request_id, scope["path"])
        await self._inner(scope, receive, send)

    def _admit(self, rule: Rule, scope: Scope) -> None:
        """Raises Unauthenticated or NotAllowed."""
        if self._keys.required:
            CALLER.set(None)  # a pipelined request begins in the context of the one before
        if scope["method"] not in ("GET", "HEAD"):
            refuse_foreign_page(scope["headers"])
        if not self._keys.required:
            return
        account = self._identify(rule, scope)
        CALLER.set(account)
        if account is None:
            return
        if rule.permission == "admin" and not account.is_admin:
            raise NotAllowed(
                "API keys can only access model query and inference endpoints; "
                f"{scope['method']} {scope['path']} needs an admin key."
            )
        if "uid" in rule.parameters:  # a model's: one that the key may not use, it need not see
            account.check_model(str(rule.parameters["uid"]))

    def _identify(self, rule: Rule, scope: Scope) -> Account | None:
        """Whose key the request came with; what is public need not come with one. Raises Unauthenticated."""
        secret = read_secret(scope["headers"])
        if rule.permission != "public":
            return self._keys.check(secret)
        with suppress(Unauthenticated):
            return self._keys.check(secret)
        return None

    async def _administer(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        """As any request, with a line in the audit log about how it ended."""
        request_id = read_heading(scope["headers"]).request_id
        scope["headers"] = [*(each for each in scope["headers"] if each[0] != b"x-request-id")]
        scope["headers"].append((b"x-request-id", request_id))
        act = scope[_ACT] = _act_of(rule, scope, request_id)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                act.status = message["status"]
                if not any(name == b"x-request-id" for name, _ in message["headers"]):
                    message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            try:
                self._admit(rule, scope)
            except EnginehouseError as error:
                return await send_error(watched, error, request_id)
            finally:
                _sign(act, CALLER.get(), self._keys.required)
            await self._inner(scope, receive, watched)
        finally:
            self._audit.write(act)


def note_model(request: Request, model: str) -> None:
    """Tells the audit log which model an act is about, where its path does not."""
    act: Act | None = request.scope.get(_ACT)
    if act is not None:
        act.model = model


def note_act(request: Request, name: str) -> None:
    """Tells the audit log what a route does this time, where it can do several things."""
    act: Act | None = request.scope.get(_ACT)
    if act is not None:
        act.act = name


def read_secret(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The key that a request carries: `Authorization: Bearer`, or `x-api-key` as Anthropic's clients send it."""
    named: bytes | None = None
    for name, value in headers:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
        if name == b"x-api-key":
            named = value.strip()
    return named


def _act_of(rule: Rule, scope: Scope, request_id: bytes) -> Act:
    parameters = {name: str(value) for name, value in rule.parameters.items()}
    client = scope.get("client")
    return Act(
        act=rule.act,
        who="",
        model=parameters.pop("uid", None),
        on=parameters,
        method=scope["method"],
        path=scope["path"],
        status=CLIENT_CLOSED,
        address=client[0] if client else None,
        request_id=request_id.decode("latin-1"),
    )


def _sign(act: Act, account: Account | None, required: bool) -> None:
    if account is None:
        act.who = "nobody known" if required else "anybody: no keys are asked for"
    else:
        act.who, act.key_id = account.key.name, account.key.key_id
