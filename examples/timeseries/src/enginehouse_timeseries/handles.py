"""The client's method for models of time series."""

from __future__ import annotations

from enginehouse.client.call import UNBOUNDED, Call, Json, as_object

from .tasks import FORECAST


class Timeseries:
    """A running model that forecasts."""

    @staticmethod
    def forecast(model_uid: str, /, series: list[list[float]], horizon: int = 1, stream: bool = False) -> Call[Json]:
        """Values to come, {"data": [{"index", "mean", "low", "high"}]}; with stream each series as it is made."""
        body = {"model": model_uid, "series": series, "horizon": horizon, "stream": stream}
        return Call(
            action="forecast with the model",
            method="POST",
            path=FORECAST.route,
            body=body,
            read_seconds=UNBOUNDED,
            decode=as_object,
            streams=stream,
        )
