"""Tables and JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import click

PIPED_WIDTH = 10_000  # into a file or a pipe no line is ever folded

STYLES = {
    "READY": "green",
    "CREATING": "cyan",
    "LOADING": "cyan",
    "RESTARTING": "yellow",
    "TERMINATING": "yellow",
    "ERROR": "bold red",
    "loaded": "green",
    "blocked": "yellow",
    "incompatible": "red",
    "quarantined": "bold red",
    "ok": "green",
    "warning": "yellow",
    "broken": "bold red",
}


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""Of commands whose answer is not for people alone."""


class Column(NamedTuple):
    """A column. folds: its text may take several lines where the terminal is narrow."""

    title: str
    folds: bool = False


def heading_of(field: str) -> str:
    """A column's title, from the name of a field of the wire."""
    return field.replace("_", " ").upper()


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows under a header line; words that say a state are coloured on a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.title, overflow="fold", no_wrap=not column.folds)
    for row in rows:
        texts = ["" if value is None else str(value) for value in row]
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in texts))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def print_json(value: Any) -> None:
    """Prints JSON that people can read and programs can parse."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
