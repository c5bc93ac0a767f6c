"""Writes docs/reference/cli.md: every command with its arguments and options, as the commands themselves declare them.

`python scripts/cli_reference.py` writes the page; with `--check` it writes nothing and exits with 1 where the page is
not as it would be.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from enginehouse.cli.main import COMMANDS, enginehouse

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
HEAD = """\
# Command line

<!-- Written by scripts/cli_reference.py from the commands themselves. -->

    enginehouse COMMAND [OPTIONS] [ARGUMENTS]

`enginehouse COMMAND --help` says the same as this page. Option names may be written with underscores, too
(`--max_tokens`). What was asked for goes to stdout, all else to stderr; `--json` makes it JSON. Into a pipe no table is
folded or coloured.

## Exit status

| Status | Meaning |
|---|---|
| 0 | Done. |
| 1 | The server refused, or something here is not as it must be: a model that failed to launch, a file that cannot be \
read, a broken finding of `doctor`. The reason is on stderr. |
| 2 | Wrong usage: an unknown option, a missing argument, a faulty file of models, nobody there to ask. |
| 3 | No server answers at the address. |
| 4 | `plan`: it would not fit into memory. `diff`: `apply` would do something. |
| 130 | Interrupted (Ctrl-C), or a question answered with no. An interrupted launch is cancelled. |
| 141 | Whoever read the output has gone, as `head` does. |

## Environment

| Variable | Meaning |
|---|---|
| `ENGINEHOUSE_ENDPOINT`, else `XINFERENCE_ENDPOINT` | Address of the server where `--endpoint` is not given; \
else `http://127.0.0.1:9997`. |
| `ENGINEHOUSE_API_KEY` | Key where `--api-key` is not given; else the one that `enginehouse login` keeps. |
| `ENGINEHOUSE_HOME`, else `XINFERENCE_HOME` | Folder of state, logs, weights and kept keys; else `~/.enginehouse`. |

The settings of `enginehouse serve` are variables as well: see [Settings](settings.md).

## Completion

    eval "$(enginehouse completion bash)"     # in ~/.bashrc
    eval "$(enginehouse completion zsh)"      # in ~/.zshrc, after compinit
    enginehouse completion fish > ~/.config/fish/completions/enginehouse.fish

Commands, options and their values are completed; where a server answers, the uids of its models, the names of those
that can be launched, and of its engines, too.

"""


def main() -> int:
    text = HEAD + "\n".join(page_of(name) for name in COMMANDS)
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text("utf-8") != text)
    PAGE.write_text(text, "utf-8")
    return 0


def page_of(name: str) -> str:
    context = click.Context(enginehouse, info_name="enginehouse")
    command = enginehouse.get_command(context, name)
    assert command is not None
    return "\n".join(sections(command, f"enginehouse {name}", 2))


def sections(command: click.Command, path: str, level: int) -> Iterator[str]:
    """A section for a command; one below it for each command of a group."""
    context = click.Context(command, info_name=path)
    yield f"{'#' * level} {path.removeprefix('enginehouse ')}\n"
    yield f"    {' '.join([path, *command.collect_usage_pieces(context)])}\n"
    yield inspect.cleandoc(command.help or "").replace("<", "&lt;") + "\n"
    rows = [row for parameter in command.params if (row := row_of(parameter))]
    if rows:
        yield "\n".join(("| Option | Meaning |", "|---|---|", *rows)) + "\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from sections(below, f"{path} {name}", level + 1)


def row_of(parameter: click.Parameter) -> str | None:
    """An option; None for arguments, which stand in the usage, and for what is hidden."""
    if not isinstance(parameter, click.Option) or parameter.hidden:
        return None
    names = f"{', '.join(parameter.opts)}{''.join(f' / {name}' for name in parameter.secondary_opts)}"
    return f"| `{f'{names} {value_of(parameter)}'.strip()}` | {escape(' '.join(meaning_of(parameter)))} |"


def value_of(option: click.Option) -> str:
    """What stands after the name of an option. Not click's own words, which differ from version to version."""
    if option.metavar or (option.is_flag and option.type is not click.BOOL):
        return option.metavar or ""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return r"\|".join(option.type.choices)
    kinds = ((click.types.IntParamType, "NUMBER"), (click.types.FloatParamType, "NUMBER"), (click.Path, "PATH"))
    return next((word for kind, word in kinds if isinstance(option.type, kind)), "TEXT")


def meaning_of(option: click.Option) -> Iterator[str]:
    yield option.help or ""
    if option.required:
        yield "[required]"
    if option.show_default is True and not option.is_flag:
        yield f"[default: {option.default}]"
    if option.show_default is True and option.is_flag:
        yield f"[default: {option.opts[0] if option.default else option.secondary_opts[0]}]"
    if option.show_envvar:
        names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
        yield f"[variable: {', else '.join(names)}]"


def escape(text: str) -> str:
    """Markdown's own characters, but for `code`, where they stand for themselves."""
    parts = re.sub(r"\s+", " ", text).strip().split("`")
    parts[::2] = [re.sub(r"([\[*_<])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts).replace("|", r"\|")


if __name__ == "__main__":
    sys.exit(main())
