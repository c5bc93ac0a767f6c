"""Enginehouse: a model server whose every engine is a plugin."""
