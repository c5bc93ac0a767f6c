"""Parts of paths: names that callers choose, which may hold anything, and may not stand for something else."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

from ..host.hubs import default_uid
from ..host.launch_request import LaunchRequest
from ..sdk import BadRequest

RESERVED = ("families", "instance", "instances", "prompts", "summary", "update_type", "vllm-supported")
"""Words that stand in a route where a uid may stand."""

ACTS = ("build", "bundles", "gc", "import", "lock", "works")
"""Words that stand in a route of environments where a digest may stand."""

_BELOW = r"progress|cancel|renew|replicas|replicas/\d+|replicas/\d+/logs|events|versions|auto-register|abort"


class Text(Convertor[str]):
    """Any text, slashes and line ends too: callers ask for names that are none, and are told so."""

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class Uid(Text):
    """The same at the end of a path, but no other route's: with the wrong method that is answered 405, and not taken
    for a model."""

    regex = rf"(?!(?:{'|'.join(RESERVED)}|[\s\S]*/(?:{_BELOW}))$)[\s\S]+"


class Digest(Text):
    """The digest of an environment, or its beginning, but no other route's word."""

    regex = rf"(?!(?:{'|'.join(ACTS)})(?:/|$))[^/]+"


def register_parts() -> None:
    """Makes `{name:text}`, `{name:uid}` and `{name:digest}` known to routes."""
    register_url_convertor("text", Text())
    register_url_convertor("uid", Uid())
    register_url_convertor("digest", Digest())


def check_reachable(request: LaunchRequest) -> None:
    """Raises BadRequest for a uid that no route could be asked about."""
    uid = request.model_uid or default_uid(request.model_name)
    if uid in RESERVED:
        raise BadRequest(
            f"The uid {uid!r} is a word of this API's routes ({', '.join(RESERVED)}). Choose another model_uid.",
            param="model_uid",
        )
