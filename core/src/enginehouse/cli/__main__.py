"""`python -m enginehouse.cli` is the command `enginehouse`."""

from .main import main

main()
