"""Whether this worker was told to leave: a server that ends without it has lost its engine."""

from __future__ import annotations

from threading import Event

told = Event()
