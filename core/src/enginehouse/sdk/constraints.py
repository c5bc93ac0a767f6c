"""What an answer must look like: the one form that response_format and the guided_* fields come down to."""

from __future__ import annotations

from typing import Literal

import msgspec

ConstraintKind = Literal["json_schema", "regex", "choice", "grammar"]


class Constraint(msgspec.Struct, frozen=True, kw_only=True):
    """Every whole answer matches this; one that is cut at max_tokens is the beginning of one that does.

    text, by kind:
        json_schema: a JSON schema as JSON text, its keys in the order that the caller gave them; "any JSON object"
            is the schema {"type": "object"}.
        regex: a regular expression for the whole answer.
        choice: a JSON array of different texts, one of which is the answer.
        grammar: in the form of Lark or GBNF; an engine that reads one of them refuses the other.
    whitespace: a regular expression for what may stand between the tokens of JSON; None leaves it to the engine.
    param: the request's field that it came from, for errors.
    """

    kind: ConstraintKind
    text: str
    whitespace: str | None = None
    param: str = "response_format"
