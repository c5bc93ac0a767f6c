"""Bodies of tasks that plugins bring, read into their own structs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..sdk import TaskOrder, gather_rest, is_open
from .decoding import decode_as, decode_body
from .targets import resolve


class OwnBody:
    """One such task in this worker. Raises what importing its request's module raises."""

    def __init__(self, order: TaskOrder) -> None:
        self.order = order
        self._request = resolve(order.request)

    def read(self, body: bytes) -> Any:
        """The request. Raises BadRequest that names the field."""
        if not is_open(self._request):
            return decode_body(body, self._request)
        return decode_as(gather_rest(decode_body(body, dict[str, Any]), self._request), self._request)


def own_bodies(orders: Iterable[TaskOrder]) -> dict[str, OwnBody]:
    """By name."""
    return {order.name: OwnBody(order) for order in orders}
