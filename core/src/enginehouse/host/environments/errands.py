"""What the server and the process that makes an environment say to each other: lines of JSON.

The errand goes to the process's stdin, which stays open: its end tells the process that the server is gone. The
process answers on stdout, its last line an Outcome.
"""

from __future__ import annotations

import msgspec

from ...sdk import Environment, EnvironmentNeed, Lock
from .shelf import EnvironmentRecord

MAKER = "enginehouse.host.environments.maker"


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be done. provision, resolve, build: the provisioner's targets; lock: when it is known already.

    home: of the server; token: names the folder for what is half made; path: the server's sys.path, for plugins that
    were not there when it started. seconds: most time for all; reserve_bytes: left free on the disk. Without `build`
    it ends with the lock.
    """

    need: EnvironmentNeed
    home: str
    token: str
    asked_by: str
    path: tuple[str, ...]
    seconds: float
    reserve_bytes: int
    provision: str = ""
    resolve: str = ""
    build: str = ""
    lock: Lock | None = None


class Stepped(msgspec.Struct, frozen=True, kw_only=True, tag="step", tag_field="event"):
    """Progress."""

    phase: str
    package: str = ""
    done: int = 0
    total: int = 0


class Locked(msgspec.Struct, frozen=True, kw_only=True, tag="locked", tag_field="event"):
    """The need was resolved; the lock is worth keeping whatever comes of the environment."""

    lock: Lock


class Resolved(msgspec.Struct, frozen=True, kw_only=True, tag="resolved", tag_field="event"):
    """The lock was all that was asked for."""

    lock: Lock


class Provided(msgspec.Struct, frozen=True, kw_only=True, tag="provided", tag_field="event"):
    """An interpreter that was there already."""

    environment: Environment


class Made(msgspec.Struct, frozen=True, kw_only=True, tag="made", tag_field="event"):
    """The environment stands. found: somebody else had made it meanwhile."""

    record: EnvironmentRecord
    found: bool = False


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", tag_field="event"):
    """It could not be done. lasting: trying again without a change would fail again, so it is remembered."""

    code: str
    message: str
    lasting: bool = True


Success = Provided | Resolved | Made
Outcome = Success | Failed
Said = Stepped | Locked | Outcome
