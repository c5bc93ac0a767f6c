"""Where vLLM keeps its server: its modules moved between versions, what they hold did not."""

from __future__ import annotations

from typing import Any

try:
    from vllm.entrypoints.launchers.api_server.entry import run_server
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
except ImportError:  # before 0.30
    from vllm.entrypoints.openai.api_server import run_server
    from vllm.entrypoints.openai.cli_args import make_arg_parser, validate_parsed_serve_args

try:
    from vllm.utils.argparse_utils import FlexibleArgumentParser
except ImportError:  # before 0.12
    from vllm.utils import FlexibleArgumentParser

__all__ = ["make_parser", "run_server", "validate"]


def make_parser() -> Any:
    """The parser of `vllm serve`'s flags."""
    return make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))


def validate(args: Any) -> None:
    """Raises what vLLM raises for flags that contradict each other."""
    validate_parsed_serve_args(args)
