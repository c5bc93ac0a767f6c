"""The family files have the one form, and the reference page says what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "catalogue.py"


def test_the_files_are_in_form_and_the_page_is_current():
    run = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, ""), f"run scripts/catalogue.py; it would write {run.stdout.split()}"
