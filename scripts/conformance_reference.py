"""Writes docs/reference/conformance.md: every check of the conformance kit, its level and its rule.

`python scripts/conformance_reference.py` writes the page; with `--check` it writes nothing and exits with 1 where the
page is not as it would be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from enginehouse.testing.certifying import CLUSTERS, DECLARED, RUNNING
from enginehouse.testing.checks.check import Check
from enginehouse.testing.checks.parts import PARTS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "conformance.md"
HEAD = """\
# Conformance

<!-- Written by scripts/conformance_reference.py from the checks themselves. -->

What `enginehouse certify` holds a plugin to. A check is run where it applies: an engine that declares no embeddings is
asked for none, and one that honours no JSON schema is asked to refuse one. *Bronze*: it works. *Silver*: it does what
the wire says in all its parts. *Gold*: it holds under load and in its details. A level is reached when no check of it,
or of one below, has failed; a check that cannot be made with a model (it says too little to be cut) is *unclear*, and
neither.
"""


def main() -> int:
    """The exit status."""
    text = "\n".join(page())
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text("utf-8") != text)
    PAGE.write_text(text, "utf-8")
    return 0


def page() -> Iterator[str]:
    yield HEAD
    yield from table("What a plugin declares", DECLARED)
    yield from table("What it contributes beside engines", PARTS)
    yield from table("A cluster, by workers that it starts", CLUSTERS)
    for group, checks in groupby(RUNNING, key=lambda check: check.name.partition(".")[0]):
        yield from table(f"A running model: {group}", checks)


def table(title: str, checks: Iterable[Check]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| Check | Level | Rule |\n|---|---|---|"
    for check in checks:
        yield f"| `{check.name}` | {check.level} | {check.rule.replace('|', chr(92) + '|')} |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
