"""`enginehouse completion`."""

from __future__ import annotations

import click

VARIABLE = "_ENGINEHOUSE_COMPLETE"  # as click names it after the command


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what makes a shell complete commands, options and uids of models.

    bash: eval "$(enginehouse completion bash)" in ~/.bashrc. zsh: likewise in ~/.zshrc, after compinit. fish:
    enginehouse completion fish > ~/.config/fish/completions/enginehouse.fish.
    """
    from click.shell_completion import get_completion_class

    from ..main import enginehouse

    kind = get_completion_class(shell)
    assert kind is not None, "click knows all three"
    click.echo(kind(enginehouse, {}, "enginehouse", VARIABLE).source())
