"""The heavy half: exponential smoothing with a damped trend and an additive season (Holt 1957, Winters 1960)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from enginehouse.sdk import BadRequest, EngineContext

from .tasks import Forecast, ForecastRequest, Forecasts

TREND, SEASON = 0.1, 0.3  # how much the newest value counts for trend and season
WIDTH = 1.96  # standard deviations that hold nineteen of twenty values


class HoltWinters:
    def __init__(self, context: EngineContext) -> None:
        self._season = int(context.facts["season"])
        self._damping = float(context.facts["damping"])
        self._smoothing = context.options.smoothing

    def load(self) -> None:
        """Nothing to load: the formula is all there is."""

    def close(self) -> None:
        """Nothing to give back."""

    def forecast(self, request: ForecastRequest) -> Forecasts | Iterator[Forecast]:
        for index, series in enumerate(request.series):
            if len(series) < 2 * self._season:
                said = f"series[{index}] has {len(series)} values; a season of {self._season} needs twice as many."
                raise BadRequest(said, param=f"series[{index}]")
        made = (self._one(index, series, request.horizon) for index, series in enumerate(request.series))
        return made if request.stream else Forecasts(data=list(made))

    def _one(self, index: int, series: list[float], horizon: int) -> Forecast:
        period, damping = self._season, self._damping
        level = sum(series[:period]) / period
        trend = (sum(series[period : 2 * period]) / period - level) / period
        season = [value - level for value in series[:period]] if period > 1 else [0.0]
        errors = []
        for at, value in enumerate(series[period:], period):
            there = season[at % period]
            errors.append(value - (level + damping * trend + there))
            before, level = level, self._smoothing * (value - there) + (1 - self._smoothing) * (level + damping * trend)
            trend = TREND * (level - before) + (1 - TREND) * damping * trend
            season[at % period] = SEASON * (value - level) + (1 - SEASON) * there if period > 1 else 0.0
        mean, drift = [], 0.0
        for ahead in range(horizon):
            drift += damping ** (ahead + 1) * trend
            mean.append(level + drift + season[(len(series) + ahead) % period])
        spread = WIDTH * math.sqrt(sum(error * error for error in errors) / max(len(errors), 1))
        widths = [spread * math.sqrt(1 + ahead * self._smoothing**2) for ahead in range(horizon)]
        low, high = ([value + sign * width for value, width in zip(mean, widths, strict=True)] for sign in (-1, 1))
        return Forecast(index=index, mean=mean, low=low, high=high)


def fetch_formula(reference: str, folder: Path, report: Callable[[Any], None]) -> Path:
    """A formula has no weights: an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
