"""Variables that libraries read when they are imported; this module comes before them. What the user set stays."""

from __future__ import annotations

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would take the cores that compute
# Threads of one step spin while they wait for each other, by default for milliseconds: on the core, it may be, of whom
# they wait for. So many turns last as long as it usually takes on a machine with nothing else to do; then they sleep.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # decision 0150
