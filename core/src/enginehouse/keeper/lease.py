"""How long a worker may live unattended. Times are seconds of time.monotonic()."""

from __future__ import annotations


class Lease:
    """Runs from the worker's start; until the first claim with the shorter time, afterwards with the lease's own."""

    def __init__(self, claim_seconds: float, lease_seconds: float, now: float) -> None:
        self.deadline = now + claim_seconds
        self.was_claimed = False
        self._seconds = lease_seconds

    def renew(self, now: float) -> None:
        """A claim or a renewal: the full time again."""
        self.was_claimed = True
        self.deadline = now + self._seconds

    @property
    def cause(self) -> str:
        """What to write into the exit record when the deadline passes."""
        return "lease" if self.was_claimed else "unclaimed"
