"""One key as it is met on every request: what it may use, and how much of it is left. No I/O, no waits."""

from __future__ import annotations

import fnmatch
import math
import re
import time
from typing import Any, Literal

import msgspec

from ..sdk import NotAllowed
from ..sdk.errors import Overloaded, Unauthenticated

MINUTE = 60.0
DAY = 86400
EVERY_MODEL = ("*",)


class OverBudget(Overloaded):
    """The key has used up what it may use for now; `Retry-After` says when there is more."""

    code, kind = "rate_limit_exceeded", "rate_limit_error"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret. hint: the secret's beginning, to tell keys apart; *_ts: seconds since 1970.

    models: uids, or patterns of them with `*` and `?`. requests_per_minute: so many at once, refilled evenly.
    tokens_per_day: read and generated, until midnight UTC.
    """

    key_id: str
    name: str
    role: Literal["user", "admin"]
    models: tuple[str, ...] = EVERY_MODEL
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    created_ts: float
    expires_ts: float | None = None
    revoked_ts: float | None = None
    hint: str = ""


class Account:
    """A key, and what was used of it. day and tokens: the tokens of that day (days since 1970, UTC)."""

    __slots__ = ("_models", "_next", "changed", "day", "key", "tokens")

    def __init__(self, key: Key, day: int = 0, tokens: int = 0) -> None:
        self.key = key
        self.day = day
        self.tokens = tokens
        self.changed = False
        self._next = 0.0
        self._models = None if key.models == EVERY_MODEL else _pattern_of(key.models)

    @property
    def is_admin(self) -> bool:
        return self.key.role == "admin"

    @property
    def counts_tokens(self) -> bool:
        return self.key.tokens_per_day is not None

    def check_valid(self, wall: float) -> None:
        """Raises Unauthenticated when the key was revoked or has expired. wall: seconds since 1970."""
        state = self.state(wall)
        if state == "revoked":
            raise Unauthenticated("API key is disabled. Ask the server's administrator for another.")
        if state == "expired":
            raise Unauthenticated("API key has expired. Ask the server's administrator for another.")

    def may_use(self, model: str) -> bool:
        return self._models is None or self._models.fullmatch(model) is not None

    def check_model(self, model: str) -> None:
        """Raises NotAllowed unless the key may use the model."""
        if not self.may_use(model):
            raise NotAllowed(
                f"API key does not have access to model: {model}. It may use: {', '.join(self.key.models) or 'none'}.",
                param="model",
            )

    def admit(self, model: str, wall: float, steady: float) -> None:
        """Counts one request to a model. Raises NotAllowed or OverBudget. steady: of the monotonic clock."""
        self.check_model(model)
        if self.key.tokens_per_day is not None:
            self._check_tokens(self.key.tokens_per_day, wall)
        if self.key.requests_per_minute is not None:
            self._take_turn(self.key.requests_per_minute, steady)

    def charge(self, tokens: int, wall: float) -> None:
        """Counts what a request has used."""
        self._turn_day(wall)
        self.tokens += tokens
        self.changed = True

    def used(self, wall: float) -> int:
        """Tokens of this day."""
        self._turn_day(wall)
        return self.tokens

    def state(self, wall: float) -> Literal["valid", "revoked", "expired"]:
        if self.key.revoked_ts is not None:
            return "revoked"
        return "expired" if self.key.expires_ts is not None and wall >= self.key.expires_ts else "valid"

    def describe(self) -> dict[str, Any]:
        """All about the key but its secret."""
        now = time.time()
        described: dict[str, Any] = msgspec.to_builtins(self.key)
        return {**described, "state": self.state(now), "tokens_today": self.used(now)}

    def _turn_day(self, wall: float) -> None:
        today = int(wall // DAY)
        if today != self.day:
            self.day, self.tokens = today, 0

    def _check_tokens(self, budget: int, wall: float) -> None:
        if self.used(wall) >= budget:
            raise OverBudget(
                f"This key has used {self.tokens} of its {budget} tokens a day; there are more after midnight UTC.",
                retry_after=math.ceil(DAY - wall % DAY),
            )

    def _take_turn(self, per_minute: int, steady: float) -> None:
        """The generic cell rate algorithm: one number says when an even flow would be through with all so far."""
        interval = MINUTE / per_minute
        ahead = max(self._next - steady, 0.0)
        late = ahead - (MINUTE - interval)
        if late > 1e-6:
            raise OverBudget(
                f"This key may make {per_minute} requests a minute; wait and try again.", retry_after=math.ceil(late)
            )
        self._next = steady + ahead + interval


def _pattern_of(models: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in models) or r"(?!)")
