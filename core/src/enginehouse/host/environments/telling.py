"""What people are told of an environment: while it is made, and once it is."""

from __future__ import annotations

from ...sdk import Step
from .shelf import EnvironmentRecord

_BEGINS = {"wait": 0.0, "resolve": 0.05, "download": 0.1, "build": 0.1, "install": 0.85, "check": 0.95}
_ENDS = {"download": 0.85, "build": 0.85}


def tell_step(step: Step) -> str:
    """`environment: download torch (3/41)`."""
    count = f"({step.done}/{step.total})" if step.total else ""
    return " ".join(part for part in ("environment:", step.phase, step.package, count) if part)


def share_of(step: Step) -> float:
    """How much of the whole is done, 0 to 1."""
    begin = _BEGINS.get(step.phase, 0.0)
    part = step.done / step.total if step.total else 0.0
    return begin + (_ENDS.get(step.phase, begin) - begin) * part


def tell_made(record: EnvironmentRecord) -> str:
    """One line for the events."""
    return (
        f"Environment {record.digest[:12]} built in {record.seconds:.1f} s, {len(record.lock.packages)} packages, "
        f"{_gigabytes(record.size_bytes)}, {_gigabytes(record.own_bytes)} of it shared with no other."
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
