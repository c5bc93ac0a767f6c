"""Where vLLM keeps its server: its modules moved between versions, what they hold did not."""

from __future__ import annotations

import inspect
from typing import Any

try:
    from vllm.entrypoints.launchers.api_server.entry import run_server_worker
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.entrypoints.launchers.launcher import setup_server
except ImportError:  # before 0.30
    from vllm.entrypoints.openai.api_server import run_server_worker, setup_server
    from vllm.entrypoints.openai.cli_args import make_arg_parser, validate_parsed_serve_args

try:
    from vllm.utils.argparse_utils import FlexibleArgumentParser
except ImportError:  # before 0.12
    from vllm.utils import FlexibleArgumentParser

__all__ = ["make_parser", "serve", "validate"]


def make_parser() -> Any:
    """The parser of `vllm serve`'s flags."""
    return make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))


def validate(args: Any) -> None:
    """Raises what vLLM raises for flags that contradict each other."""
    validate_parsed_serve_args(args)


async def serve(args: Any) -> None:
    """vLLM's server until it is told to end: its `run_server`, but for what that does with SIGTERM while loading."""
    alone = {"reuse_port": False} if "reuse_port" in inspect.signature(setup_server).parameters else {}
    address, socket = setup_server(args, **alone)
    await run_server_worker(address, socket, args)
