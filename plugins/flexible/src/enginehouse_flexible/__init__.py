"""The model type `flexible`: anything that a launcher builds. Launchers derive their models from `FlexibleModel`."""

from .model import Call, FlexibleModel, FlexibleModelSpec

__all__ = ["Call", "FlexibleModel", "FlexibleModelSpec"]
