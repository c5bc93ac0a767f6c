"""The model type `timeseries` for Enginehouse."""
