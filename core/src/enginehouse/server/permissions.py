"""What each route asks of its caller, said where the route is defined."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

Permission = Literal["public", "use", "read", "admin"]
"""public: anybody. use: inference, with the models of the key. read: to see what runs. admin: to change it.

A user key may use and read; an admin key may do everything.
"""

_MARK = "__enginehouse_permission__"
F = TypeVar("F", bound=Callable[..., Any])


class Rule(NamedTuple):
    """What one request asks for. act: the route's name, for the audit log; parameters: those of its path."""

    permission: Permission
    act: str
    parameters: Mapping[str, Any] = {}


INFER = Rule("use", "infer")
UNKNOWN = Rule("public", "unknown")  # no route: the router answers 404 or 405, whoever asks


def needs(permission: Permission) -> Callable[[F], F]:
    """Declares what a route asks for; stands between its `@router` line and its function."""

    def declare(endpoint: F) -> F:
        setattr(endpoint, _MARK, permission)
        return endpoint

    return declare


def declared(route: Route) -> Permission | None:
    """What a route declares, if it does."""
    permission: Permission | None = getattr(route.endpoint, _MARK, None)
    return permission


def all_routes(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Routes in the order in which they are tried, those of included routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from all_routes(inner.routes)
        elif isinstance(route, Route):
            yield route


class Rules:
    """The rule for each request. tasks: routes of tasks, which the relay serves before any other is tried."""

    def __init__(self, routes: Iterable[BaseRoute], tasks: Container[str]) -> None:
        self._tasks = tasks
        # a route that declares nothing is the administrator's: what is forgotten must not be open
        self._rules = [(route, declared(route) or "admin", _name_of(route)) for route in all_routes(routes)]

    def of(self, scope: Scope) -> Rule:
        return INFER if scope["method"] == "POST" and scope["path"] in self._tasks else self._find(scope)

    def _find(self, scope: Scope) -> Rule:
        for route, permission, act in self._rules:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return Rule(permission, act, found.get("path_params", {}))
        return UNKNOWN


def _name_of(route: Route) -> str:
    return str(getattr(route, "operation_id", None) or route.name)
