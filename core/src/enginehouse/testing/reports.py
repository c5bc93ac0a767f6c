"""What checks found: a result for each, and the level that they come to together."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from ..host.certificates import Subject
from .checks.check import LEVELS, Check, Failed, Level, Unclear

PAGE = "docs/reference/conformance.md"


class Result(NamedTuple):
    """What became of a check. sent, came, expected: of one that failed; reason: of one that could not be made."""

    check: Check
    state: Literal["passed", "failed", "unclear"]
    seconds: float
    sent: str = ""
    came: str = ""
    expected: str = ""
    reason: str = ""

    def tell(self) -> str:
        """For people, several lines where something is wrong."""
        if self.state == "passed":
            return f"  passed   {self.check.name}"
        if self.state == "unclear":
            return f"  unclear  {self.check.name}: {self.reason}"
        lines = (
            f"  FAILED   {self.check.name} ({self.check.level})",
            f"           sent      {self.sent}",
            f"           came      {self.came}",
            f"           expected  {self.expected}",
            f"           rule      {self.check.rule}  ({PAGE}, {self.check.name})",
        )
        return "\n".join(lines)


def run_check(check: Check, stage: Any) -> Result:
    """Looks once. What a check does not foresee (a connection that breaks, an answer of another shape) fails it."""
    begun = time.monotonic()
    try:
        check.run(stage)
    except Failed as failed:
        seconds = time.monotonic() - begun
        return Result(check, "failed", seconds, failed.sent, failed.came, failed.expected)
    except Unclear as unclear:
        return Result(check, "unclear", time.monotonic() - begun, reason=str(unclear))
    except (Exception, AssertionError) as error:  # noqa: BLE001 - what answers is foreign code: it may do anything
        came = "".join(traceback.format_exception_only(error)).strip()
        return Result(check, "failed", time.monotonic() - begun, check.name, came, "an answer of the right shape")
    return Result(check, "passed", time.monotonic() - begun)


def run_checks(
    checks: Iterable[Check], stage: Any, facts: object, tell: Callable[[Result], None] = lambda result: None
) -> list[Result]:
    """Results of those that apply, in order."""
    results = []
    for check in checks:
        if check.applies(facts):
            results.append(run_check(check, stage))
            tell(results[-1])
    return results


def level_of(results: Iterable[Result]) -> Level | None:
    """The highest level of which, and of all below which, every check passed or was unclear; None without results."""
    found = list(results)
    reached: Level | None = None
    for level in LEVELS if found else ():
        if any(result.state == "failed" and result.check.level == level for result in found):
            break
        reached = level
    return reached


def subject_of(kind: str, name: str, model: str | None, results: Iterable[Result]) -> Subject:
    """The same for a certificate."""
    found = list(results)
    return Subject(
        kind=kind,
        name=name,
        model=model,
        passed=sum(result.state == "passed" for result in found),
        failed=tuple(result.check.name for result in found if result.state == "failed"),
        unclear=tuple(result.check.name for result in found if result.state == "unclear"),
    )
