"""Variables that libraries read when they are imported; this module comes before them. What the user set stays."""

from __future__ import annotations

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would take the cores that compute
# Threads of one step sleep while they wait for each other. Spinning, which is the default, gains microseconds on a
# machine with nothing else to do, and on any other keeps from the core whom it waits for: decision 0150.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
