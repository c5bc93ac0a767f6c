"""An engine in another language."""
