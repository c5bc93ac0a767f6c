"""`python -m enginehouse_llamacpp.convert FOLDER OUT`: what `enginehouse convert --to gguf` runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .conversion import KINDS, Conversion, convert
from .errors import CannotConvert


def main() -> int:
    """Exit status: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="enginehouse convert --to gguf")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--type", dest="kind", choices=tuple(KINDS), default="f16")
    parser.add_argument("--name", default="")
    parser.add_argument("--base", type=Path)
    given = parser.parse_args()
    try:
        files = convert(Conversion(given.folder, given.out, given.kind, given.name, given.base))
    except (CannotConvert, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for file in files[:-1]:
        sys.stdout.write(f"Wrote {file}, through which the model sees; keep it beside the model's file.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
