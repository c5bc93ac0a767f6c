"""Snippets of the documentation: every command is one that the command line knows, every file can be read.

Each page with code is either run by a test that names it, or stands here with the reason why it is not.
"""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml

from enginehouse.cli.main import enginehouse as command_line

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.M | re.S)
SHELL = ("sh", "console")

RUN = {
    "how-to/certify.md": "tests/house/test_page_commands.py",
    "how-to/debug-a-quarantined-plugin.md": "tests/house/test_page_commands.py",
    "how-to/declare-models-in-a-file.md": "tests/house/test_page_commands.py",
    "how-to/plan-before-you-launch.md": "tests/house/test_page_commands.py",
    "how-to/plugins.md": "tests/house/test_page_commands.py",
    "how-to/publish-a-plugin.md": "tests/house/test_page_commands.py",
    "how-to/scale-and-unload.md": "tests/house/test_page_commands.py",
    "how-to/use-anthropic-and-openai-clients.md": "tests/house/test_page_commands.py",
    "how-to/watch-a-server.md": "tests/end_to_end/test_observability.py",
    "how-to/wrap-a-server-binary.md": "tests/house/test_tutorials.py",
    "reference/python-client.md": "tests/house/test_python_client.py",
    "reference/sdk.md": "tests/house/test_sdk.py",
    "tutorials/first-family.md": "tests/house/test_tutorials.py",
    "tutorials/first-launcher.md": "tests/house/test_tutorials.py",
    "tutorials/write-an-engine.md": "tests/house/test_tutorials.py",
}
"""Pages whose snippets a test takes from the page and runs."""

NOT_RUN = {
    "explanation/environments.md": "shows how folders are laid out",
    "how-to/add-a-family.md": "its file is an example for the catalogue; the commands are its check and its tests",
    "how-to/come-from-xinference.md": "installs from an index: tests/end_to_end/test_launch_fields.py",
    "how-to/embeddings-and-rankings.md": "loads two models with torch: tests/end_to_end/test_embeddings.py",
    "how-to/environments.md": "resolves and installs engines: tests/end_to_end/test_environment_acts.py",
    "how-to/flexible.md": "a model of a hub: plugins/flexible/tests ask each launcher with models of ours",
    "how-to/keys.md": "commands that ask at a terminal: tests/end_to_end/test_keys.py",
    "how-to/offline.md": "carries an engine of gigabytes: tests/end_to_end/test_environment_acts.py",
    "how-to/register-a-model.md": "weights of a reader's own: tests/end_to_end/test_registrations.py",
    "how-to/run-a-server.md": "starts servers on fixed ports, and a service: tests/end_to_end/test_autostart.py",
    "how-to/structured-output-and-lora.md": "loads models with torch: tests/end_to_end/test_structured.py",
    "how-to/troubleshoot.md": "needs a worker's id; every test of the kit asks workers on their sockets",
    "how-to/vllm.md": "an environment of gigabytes: tests/end_to_end/test_vllm.py",
    "how-to/weights.md": "asks hubs: tests/sources and tests/end_to_end/test_hub.py ask one of our own",
    "reference/cli.md": "written from the commands themselves: tests/house/test_cli_reference.py",
    "reference/llama-cpp.md": "installs from an index: plugins/llamacpp_engine/tests, tests/end_to_end/test_gguf.py",
    "reference/rest-api.md": "shows shapes of errors: tests/end_to_end/test_surface_faults.py",
}
"""Why the snippets of a page are only read, and where what they show is tested."""


class Snippet(NamedTuple):
    """language: of a block between fences, "" without one; None for an indented block."""

    page: str
    language: str | None
    text: str


def snippets(page: Path) -> Iterator[Snippet]:
    name, text = str(page.relative_to(DOCS)), page.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield Snippet(name, found[2].split(" ")[0], found[3])
    for block in re.split(r"\n\s*\n", FENCE.sub("\n", text)):
        lines = block.splitlines()
        if lines and all(line.startswith("    ") for line in lines) and not lines[0].lstrip().startswith(("-", "*")):
            yield Snippet(name, None, "\n".join(line[4:] for line in lines))


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "decisions" not in page.parts]  # those tell what was
SNIPPETS = [snippet for page in PAGES for snippet in snippets(page)]
WITH_CODE = {snippet.page for snippet in SNIPPETS}


def test_each_page_with_code_is_run_or_says_why_not() -> None:
    assert not RUN.keys() & NOT_RUN.keys()
    assert RUN.keys() | NOT_RUN.keys() == WITH_CODE, "a page with code: run it, or say here why not"
    for page, test in RUN.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8"), f"{test} does not name {page}"
    for page, reason in NOT_RUN.items():
        for place in re.findall(r"(?:tests|plugins)/[\w/.]+", reason):
            assert (ROOT / place.rstrip(".")).exists(), f"{page}: {place}"


def commands(snippet: Snippet) -> Iterator[str]:
    """Each call of `enginehouse` in a snippet of a shell, its lines joined; of a dialogue only what is typed."""
    text = re.sub(r"\\\n", "", snippet.text)
    typed = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    for line in typed or text.splitlines():
        line = re.sub(r"\s+#\s.*$", "", line.strip())
        found = re.match(r"(?:[A-Z_]+=\S+ )*(enginehouse .*)$", line)
        if found:
            yield re.sub(r"\s*(&|>.*|2>.*|\|.*)$", "", found[1])


COMMANDS = [
    (snippet.page, line)
    for snippet in SNIPPETS
    if snippet.language in (None, *SHELL) and snippet.page != "reference/cli.md"
    for line in commands(snippet)
]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{Path(page).stem}: {line}" for page, line in COMMANDS])
def test_commands_are_known(page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as the command line reads them, and not called; files that they name are there."""
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"[\w.-]+\.json", line):
        Path(name).touch()
    _read(line)


def _read(line: str) -> None:
    _, *words = shlex.split(line)
    command: click.Command = command_line
    with click.Context(command, info_name="enginehouse") as context:
        while isinstance(command, click.Group) and words:
            name, found, words = command.resolve_command(context, words)
            assert found is not None, f"{name!r} is no command"
            command = found
        if not isinstance(command, click.Group):
            command.make_context(command.name, words, parent=context)


READERS: dict[str, Any] = {
    "json": lambda text: json.loads(text if text.lstrip().startswith(("{", "[")) else f"{{{text}}}"),
    "yaml": yaml.safe_load,
    "toml": tomllib.loads,
    "ini": lambda text: _Ini(strict=True).read_string(text),
    "python": ast.parse,
}
FILES = [snippet for snippet in SNIPPETS if snippet.language in READERS]


class _Ini(configparser.ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.mark.parametrize("snippet", FILES, ids=[f"{one.page}-{number}" for number, one in enumerate(FILES)])
def test_files_can_be_read(snippet: Snippet) -> None:
    assert snippet.language is not None
    READERS[snippet.language](snippet.text)


def test_what_is_wrong_is_found() -> None:
    assert len(COMMANDS) > 60 and len(FILES) > 20
    with pytest.raises(click.UsageError):
        _read("enginehouse no-such-command")
    with pytest.raises(click.UsageError):
        _read("enginehouse list --no-such-option")
    with pytest.raises(SyntaxError):
        test_files_can_be_read(Snippet("no.md", "python", "def ("))
    with pytest.raises(ValueError):
        test_files_can_be_read(Snippet("no.md", "json", '{"a": }'))
