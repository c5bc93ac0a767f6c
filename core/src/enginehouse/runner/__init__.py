"""Hosts one Python engine as an HTTP server on a Unix socket; runs in the engine's own interpreter."""
