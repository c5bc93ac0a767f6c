"""How a command fails on purpose: one line on stderr, and a status that says whose fault it was."""

from __future__ import annotations

import click


class Refused(click.ClickException):
    """The server said no, or something here is not as it must be."""

    exit_code = 1


class Unreachable(click.ClickException):
    """No server answers at the address."""

    exit_code = 3
