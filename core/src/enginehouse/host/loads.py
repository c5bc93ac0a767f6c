"""How long loads take: counted for each deployment, as long as it is declared."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)  # seconds: a small model to a download


class Loads:
    """Replicas that were started and became ready; adopted ones were not loaded. buckets: counts by BOUNDS."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, seconds: float) -> None:
        """One is ready, so long after its start."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
