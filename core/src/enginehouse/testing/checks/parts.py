"""What a plugin contributes beside engines: families, parsers, provisioners, sources, model types, launchers.

Smaller than what engines are held to, since these are data or functions that can be called here.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ...host.contributions import Contributions, label
from ...host.plugins import PluginRecord
from ...sdk import EnginehouseError, ReasoningPart, TextPart, ToolCallPart
from .check import Check, Failed, Unclear, check, require

TEXTS = (
    "Plain words and nothing else.",
    "Grüße, 你好 \U0001f389!",
    "a < b and b > c",
    "{not json",
    "```python\nprint('hi')\n```\n",
    "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>",
    "<think>\nlet me see\n</think>\n\n42",
    "<",
    "",
)  # fmt: skip
NOWHERE = "no-such-thing-anywhere/at-all"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a plugin contributes. kind: as in `Contributions` ("families", "parsers", ...)."""

    kind: str
    name: str
    item: Any
    contributions: Any


def parts_of(record: PluginRecord, contributions: Contributions) -> Iterator[Part]:
    """Everything but engines that this plugin contributes."""
    for kind, items in contributions.of(record.name).items():
        for item in items.values() if kind != "engines" else ():
            yield Part(kind=kind, name=label(item), item=item, contributions=contributions)


def _is(kind: str) -> Callable[[Part], bool]:
    return lambda part: isinstance(part, Part) and part.kind == kind


def _found(target: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise Failed(f"find {target}", str(error), "code that can be found") from error


@check("bronze", "A family's model type is one that a plugin brings.", _is("families"))
def family_has_a_known_type(part: Part) -> None:
    kind = part.contributions.model_type(part.item.model_type)
    require(kind, f"family {part.name}", f"model type {part.item.model_type!r}", "a model type that is installed")


@check("bronze", "A family claims only abilities that its model type has.", _is("families"))
def family_claims_known_abilities(part: Part) -> None:
    kind = part.contributions.model_type(part.item.model_type)
    unknown = set(part.item.abilities) - set(kind.abilities if kind else ())
    require(not unknown or not kind, f"family {part.name}", sorted(unknown), f"abilities of {kind and kind.abilities}")


@check(
    "bronze",
    "Each variant's weights come from a source that is installed.",
    _is("families"),
)
def family_has_sources(part: Part) -> None:
    for variant in part.item.variants:
        schemes = [source.partition(":")[0] for source in variant.sources]
        known = [scheme for scheme in schemes if part.contributions.source(scheme)]
        require(known, f"family {part.name}, {variant.format}", schemes, "a source whose scheme is installed")


@check("silver", "The parsers that a family names are there.", _is("families"))
def family_has_its_parsers(part: Part) -> None:
    for name, kind in ((part.item.tool_parser, "tool"), (part.item.reasoning_parser, "reasoning")):
        found = name is None or part.contributions.parser(name, kind)
        require(found, f"family {part.name}", f"the {kind} parser {name!r} is not installed", "a parser that is")


@check("silver", "Some installed engine reads the format of a family's variants.", _is("families"))
def family_can_run(part: Part) -> None:
    formats = {form for engine in part.contributions.engines for form in engine.formats}
    if not formats & {variant.format for variant in part.item.variants}:
        raise Unclear("no engine that is installed here reads its formats")


@check("silver", "A family says what it is, and its licence.", _is("families"))
def family_describes_itself(part: Part) -> None:
    require(part.item.description.strip(), f"family {part.name}", "no description", "a sentence about it")


@check("bronze", "A parser finds the same wherever the text is cut, and loses nothing of plain text.", _is("parsers"))
def parser_does_not_care_for_cuts(part: Part) -> None:
    make = _found(part.item.parser)
    for text in TEXTS:
        whole = _parsed(make, [text])
        for slices in (list(text), [text[:1], text[1:]], [text[: len(text) // 2], text[len(text) // 2 :]]):
            came = _parsed(make, slices)
            require(came == whole, f"{part.item.parser} fed {slices}", came, f"{whole}")


@check("bronze", "Plain text stays text.", _is("parsers"))
def parser_keeps_plain_text(part: Part) -> None:
    make = _found(part.item.parser)
    for text in TEXTS[:2]:
        came = _parsed(make, [text])
        kept = "".join(words for kind, words in came if kind in ("text", "thought"))
        require(kept == text, f"{part.item.parser} fed {text!r}", came, f"{text!r}, whole")


@check("silver", "A parser's calls have arguments that are a JSON object as text.", _is("parsers"))
def parser_gives_json(part: Part) -> None:
    make = _found(part.item.parser)
    for text in TEXTS:
        for kind, words in _parsed(make, [text]):
            if kind.startswith("call "):
                require(isinstance(json.loads(words), dict), f"{part.item.parser} fed {text!r}", words, "a JSON object")


def _parsed(make: Callable[..., Any], slices: list[str]) -> list[tuple[str, str]]:
    """What came out, neighbours of one kind joined."""
    parser = make("", ())
    parts = [part for text in slices for part in parser.feed(text)]
    out: list[tuple[str, str]] = []
    for part in [*parts, *parser.finish()]:
        if isinstance(part, ToolCallPart):
            out.append((f"call {part.name}", part.arguments))
            continue
        require(isinstance(part, TextPart | ReasoningPart), "feed", type(part).__name__, "one of the sdk's parts")
        kind = "text" if isinstance(part, TextPart) else "thought"
        if out and out[-1][0] == kind:
            out[-1] = (kind, out[-1][1] + part.text)
        else:
            out.append((kind, part.text))
    return out


@check("bronze", "What a source names by string is there.", _is("sources"))
def source_is_there(part: Part) -> None:
    require(callable(_found(part.item.fetch)), part.item.fetch, "no function", "a function")


@check("bronze", "A source refuses what is not there with a message, and does not raise anything else.", _is("sources"))
def source_refuses_what_is_not_there(part: Part) -> None:
    if not part.item.local:
        raise Unclear("a source that downloads is not asked here, so that no check needs a network")
    fetch = _found(part.item.fetch)
    with tempfile.TemporaryDirectory() as folder:
        try:
            came = fetch(NOWHERE, Path(folder), lambda progress: None)
        except EnginehouseError as error:
            require(error.message.strip(), f"{part.name}:{NOWHERE}", "no message", "what happened and what to do")
            return
        if Path(came).exists():
            raise Unclear("this source has something for every reference")
    raise Failed(f"{part.name}:{NOWHERE}", str(came), "an EnginehouseError, or a path that exists")


@check("silver", "A scheme is a word in lower case.", _is("sources"))
def source_has_a_scheme(part: Part) -> None:
    scheme = part.item.scheme
    require(scheme.isidentifier() and scheme == scheme.lower(), "SourceSpec.scheme", scheme, "a word in lower case")


@check("bronze", "A provisioner names one that is there, or resolves and builds.", _is("provisioners"))
def provisioner_is_whole(part: Part) -> None:
    given = [bool(part.item.provision), bool(part.item.resolve and part.item.build)]
    require(sum(given) == 1, f"provisioner {part.name}", part.item, "`provision`, or `resolve` and `build`")
    for target in filter(None, (part.item.provision, part.item.resolve, part.item.build)):
        require(callable(_found(target)), target, "no function", "a function")


@check("bronze", "A model type has a name, tasks that are words, and abilities.", _is("model_types"))
def model_type_is_whole(part: Part) -> None:
    words = (*part.item.tasks, *part.item.abilities)
    require(all(word == word.strip() and word for word in words), f"model type {part.name}", words, "words")


@check("silver", "The registration of a model type has a JSON schema, for those who fill it in.", _is("model_types"))
def model_type_has_a_schema(part: Part) -> None:
    if part.item.registration is None:
        raise Unclear("models of this type cannot be registered")
    schema = msgspec.json.schema(part.item.registration)
    require(schema.get("$ref") or schema.get("properties"), f"model type {part.name}", schema, "properties")


@check("bronze", "What a launcher names by string is of the form module:name.", _is("launchers"))
def launcher_names_its_code(part: Part) -> None:
    target = getattr(part.item, "launcher", "") or getattr(part.item, "target", "")
    require(":" in target, f"launcher {part.name}", part.item, "module:name")


PARTS: tuple[Check, ...] = tuple(value for value in list(vars().values()) if isinstance(value, Check))
