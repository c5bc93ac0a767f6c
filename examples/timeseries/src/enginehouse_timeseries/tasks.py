"""What models of time series are asked, and what they answer."""

from __future__ import annotations

from typing import Annotated

import msgspec

from enginehouse.sdk import Task

Series = Annotated[list[float], msgspec.Meta(min_length=2)]


class ForecastRequest(msgspec.Struct, frozen=True, kw_only=True):
    """series: each from the oldest to the newest value. horizon: how many values to foretell of each."""

    model: str
    series: Annotated[list[Series], msgspec.Meta(min_length=1)]
    horizon: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    stream: bool = False


class Forecast(msgspec.Struct, frozen=True):
    """index: of the series. low, high: about nineteen of twenty values lie between them."""

    index: int
    mean: list[float]
    low: list[float]
    high: list[float]


class Forecasts(msgspec.Struct, frozen=True):
    data: list[Forecast]


FORECAST = Task(
    name="forecast",
    route="/v1/timeseries/forecasts",
    summary="Values that are to come, of one or many series",
    request=ForecastRequest,
    answer=Forecasts,
    chunk=Forecast,
)
