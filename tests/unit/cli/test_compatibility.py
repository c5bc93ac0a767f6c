"""Scripts written for Xinference's command line: the commands and options that they use are here, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import pytest

from enginehouse.cli.main import enginehouse

SERVER = "-e --endpoint -ak --api-key"
LAUNCH = (
    "-n --model-name -t --model-type -en --model-engine -u --model-uid -s --size-in-billions -f --model-format "
    "-q --quantization -r --replica --n-worker --n-gpu -lm --lora-modules -ld --image-lora-load-kwargs "
    "-fd --image-lora-fuse-kwargs -qc --quantization-config --worker-ip --gpu-idx --trust-remote-code -mp --model-path "
    "--model_path --enable-thinking --enable-virtual-env --disable-virtual-env -vp --virtual-env-package "
    "--virtual-env-find-link -ev --env"
)
THEIRS = {
    "register": f"-t --model-type -f --file -w --worker-ip -p --persist {SERVER}",
    "unregister": f"-t --model-type -n --model-name {SERVER}",
    "registrations": f"-t --model-type {SERVER}",
    "cached": f"-n --model_name --worker-ip {SERVER}",
    "remove-cache": f"-n --model_version --worker-ip --check {SERVER}",
    "launch": f"{LAUNCH} {SERVER}",
    "list": SERVER,
    "terminate": f"--model-uid {SERVER}",
    "generate": f"--model-uid --max_tokens --stream {SERVER}",
    "chat": f"--model-uid --max_tokens --stream {SERVER}",
    "vllm-models": SERVER,
    "login": "--username --password -e --endpoint",
    "engine": f"-n --model-name -en --model-engine -f --model-format -s --size-in-billions -q --quantization {SERVER}",
    "cal-model-mem": (
        "-n --model-name -s --size-in-billions -f --model-format -q --quantization -c --context-length --kv-cache-dtype"
    ),
    "stop-cluster": f"--check {SERVER}",
}
WITHOUT_JSON = {
    "serve": "runs until it is ended",
    "completion": "prints a script",
    "convert": "writes a file",
    "new-plugin": "writes files",
    "env export": "prints a lock, which is JSON",
    "infer": "prints what the model answers, which is JSON",
}


def named(name: str) -> click.Command:
    command = enginehouse.get_command(click.Context(enginehouse), name)
    assert command is not None
    return command


def spellings(command: click.Command) -> set[str]:
    """All names of all options, as they are written with dashes."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("name", THEIRS)
def test_their_options_are_here(name: str) -> None:
    missing = {option for option in THEIRS[name].split() if option.replace("_", "-") not in spellings(named(name))}
    assert not missing


def every_command(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(click.Context(command)):
        below = command.get_command(click.Context(command), name)
        assert below is not None
        yield from every_command(below, f"{path} {name}".strip())


def test_every_command_speaks_json() -> None:
    silent = {path for path, command in every_command(enginehouse, "") if "--json" not in spellings(command)}
    assert silent <= WITHOUT_JSON.keys()


def test_every_option_says_what_it_means() -> None:
    for path, command in every_command(enginehouse, ""):
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.help, (path, option.opts)


def test_a_path_is_given_once(ask: Any) -> None:
    ended = ask("launch", "--model-path", "/a", "--model_path", "/b")
    assert ended.status == 2
    assert "once" in ended.err


def test_login_with_a_name_and_a_password(ask: Any, server: Any, run: Any) -> None:
    server.play({"GET /v1/models": {"data": []}, "GET /v1/cluster/auth": {"auth": True}})
    assert ask("login", "--username", "ada", "--password", "secret").status == 0
    assert server.asked("GET /v1/models")[0]["headers"]["authorization"] == "Bearer secret"
    assert run("list", "-e", server.url).status == 0
    assert server.asked("GET /v1/models")[1]["headers"]["authorization"] == "Bearer secret"
