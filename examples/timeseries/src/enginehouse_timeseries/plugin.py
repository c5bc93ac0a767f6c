"""The light half: the model type with its task, how users register models of it, and the engine."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from enginehouse.sdk import (
    Asks,
    EngineSpec,
    Example,
    ModelFamily,
    ModelType,
    Options,
    Registration,
    SourceSpec,
    TaskExample,
    Variant,
    hookimpl,
)

from .tasks import FORECAST


class TimeseriesRegistration(Registration, frozen=True, kw_only=True):
    """A way to forecast. season: values after which a pattern comes again; 1 for none. damping: of the trend."""

    season: Annotated[int, msgspec.Meta(ge=1)] = 1
    damping: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.98

    def family(self, model_type: str) -> ModelFamily:
        facts: dict[str, Any] = {"season": self.season, "damping": self.damping}
        weights = Variant(format="formula", size_in_billions="0", sources=("formula:holt-winters",))
        return ModelFamily(
            name=self.model_name, model_type=model_type, variants=(weights,), abilities=("forecast",), facts=facts
        )


class ForecastOptions(Options, frozen=True, kw_only=True):
    smoothing: Annotated[float, msgspec.Meta(gt=0, lt=1, description="How much the newest value counts")] = 0.4


ASKS = Asks()  # neither network, nor programs, nor code of models
WEEK = [3, 4, 5, 6, 7, 1, 2]
EXAMPLE = Example(
    registration={"season": 7},
    launch={"model_name": "weekly"},
    tasks=(
        TaskExample(
            task="forecast",
            right=({"series": [WEEK * 2], "horizon": 7}, {"series": [WEEK * 3, WEEK * 4]}),
            wrong=({"series": [[1, 2, 3]]}, {"series": [WEEK * 2], "horizon": 0}),
        ),
    ),
)


@hookimpl
def enginehouse_model_types() -> tuple[ModelType, ...]:
    return (
        ModelType(
            name="timeseries",
            own_tasks=(FORECAST,),
            abilities=("forecast",),
            reports=("model_name", "model_ability", "season", "damping"),
            registration=TimeseriesRegistration,
            examples=(EXAMPLE,),
        ),
    )


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="holt-winters",
            tasks=("forecast",),
            model_types=("timeseries",),
            formats=("formula",),
            engine="enginehouse_timeseries.engine:HoltWinters",
            options=ForecastOptions,
            summary="Exponential smoothing with trend and season",
        ),
    )


@hookimpl
def enginehouse_sources() -> tuple[SourceSpec, ...]:
    return (SourceSpec(scheme="formula", fetch="enginehouse_timeseries.engine:fetch_formula", local=True),)
