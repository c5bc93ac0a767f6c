"""Writes docs/reference/sdk.md and docs/reference/sdk-surface.json: every name of `enginehouse.sdk`, and every hook.

`python scripts/sdk_reference.py` writes both; with `--check` it writes nothing and exits with 1 where they are not as
they would be. The surface is what a plugin can rely on: a change of it shows in the file's diff, and is decided there.
The page's examples are run by tests/house/test_sdk.py.
"""

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from enginehouse import sdk
from enginehouse.sdk import hooks

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
PAGE, SURFACE = FOLDER / "sdk.md", FOLDER / "sdk-surface.json"
HEAD = """\
# What a plugin may import

<!-- Written by scripts/sdk_reference.py from the code itself. -->

Everything a plugin needs is in `enginehouse.sdk`; nothing else of Enginehouse is for plugins, but `enginehouse.testing`
in their tests. The whole surface, names with their fields and signatures, is recorded in
[sdk-surface.json](sdk-surface.json), and a test fails when the code says something else.

## Versions and what may change

`enginehouse-core` follows SemVer, for this surface:

- *patch* (0.1.1): nothing of the surface changes.
- *minor* (0.2.0): names, fields with defaults and hooks may be added. Before 1.0 a minor version may also remove what
  was announced as deprecated; after 1.0 only a major one may.
- *deprecated* means: it still works and raises `DeprecationWarning`, its docstring says what to use instead and since
  when, and it stays for one minor version at least.

So a plugin asks for `enginehouse-core>=0.1,<0.2`. A server shows a plugin whose range it does not fit as
*incompatible*, before anything of it is imported.

"""
EXAMPLES = {
    "enginehouse_engines": """
>>> from enginehouse.sdk import EngineSpec, hookimpl
>>> @hookimpl
... def enginehouse_engines():
...     return [EngineSpec(name="parrot", tasks=("generate",), formats=("feathers",), engine="parrot.engine:Parrot")]
>>> enginehouse_engines()[0].offers
('generate', 'chat')
""",
    "enginehouse_families": """
>>> from enginehouse.sdk import ModelFamily, Variant, hookimpl
>>> @hookimpl
... def enginehouse_families():
...     weights = Variant(format="pytorch", size_in_billions="0_5", sources=("hf:your-name/small",))
...     return [ModelFamily(name="small", model_type="LLM", variants=(weights,), abilities=("chat", "generate"))]
>>> enginehouse_families()[0].variants[0].quantization
'none'
""",
    "enginehouse_model_types": """
>>> from enginehouse.sdk import ModelType, hookimpl
>>> @hookimpl
... def enginehouse_model_types():
...     return [ModelType(name="weather", abilities=("forecast",))]
>>> enginehouse_model_types()[0].registration is None
True
""",
    "enginehouse_parsers": """
>>> from enginehouse.sdk import ParserSpec, hookimpl
>>> @hookimpl
... def enginehouse_parsers():
...     return [ParserSpec(name="mine", kind="reasoning", parser="mine.parser:Parser")]
>>> enginehouse_parsers()[0].kind
'reasoning'
""",
    "enginehouse_sources": """
>>> from enginehouse.sdk import SourceSpec, hookimpl
>>> @hookimpl
... def enginehouse_sources():
...     return [SourceSpec(scheme="shelf", fetch="mine.fetching:fetch", local=True)]
>>> enginehouse_sources()[0].scheme
'shelf'
""",
    "enginehouse_provisioners": """
>>> from enginehouse.sdk import ProvisionerSpec, hookimpl
>>> @hookimpl
... def enginehouse_provisioners():
...     return [ProvisionerSpec(name="mine", provision="mine.provisioning:provision")]
>>> enginehouse_provisioners()[0].resolve
''
""",
    "enginehouse_launchers": """
>>> from enginehouse.sdk import LauncherSpec, hookimpl
>>> @hookimpl
... def enginehouse_launchers():
...     return [LauncherSpec(name="counter", launcher="mine.launcher:launch", requirements=("numpy>=2",))]
>>> enginehouse_launchers()[0].aliases
()
""",
    "enginehouse_clusters": """
>>> from enginehouse.sdk import ClusterSpec, hookimpl
>>> @hookimpl
... def enginehouse_clusters():
...     return [ClusterSpec(name="attic", cluster="mine.cluster:Attic", summary="The old machines upstairs")]
>>> enginehouse_clusters()[0].cluster
'mine.cluster:Attic'
""",
    "enginehouse_choose_engine": """
>>> from enginehouse.sdk import hookimpl
>>> @hookimpl
... def enginehouse_choose_engine(family, variant, candidates):
...     return next((one for one in candidates if one.name == "parrot"), None)
>>> enginehouse_choose_engine(None, None, ()) is None
True
""",
    "enginehouse_requirements": """
>>> from enginehouse.sdk import Requirements, hookimpl
>>> @hookimpl
... def enginehouse_requirements(engine, variant, device):
...     return Requirements(requirements=("flash-attn>=2",)) if device == "cuda" else None
>>> enginehouse_requirements(None, None, "cpu") is None
True
""",
    "EngineSpec": """
>>> from enginehouse.sdk import EngineSpec
>>> EngineSpec(name="parrot", tasks=("fly",), formats=("feathers",))
Traceback (most recent call last):
    ...
enginehouse.sdk.errors.InvalidSpec: Engine 'parrot': give either `engine` or `command`.
""",
    "ClusterSpec": """
>>> from enginehouse.sdk import ClusterSpec
>>> ClusterSpec(name="attic", cluster="mine.cluster")
Traceback (most recent call last):
    ...
enginehouse.sdk.errors.InvalidSpec: Cluster 'attic': 'mine.cluster' is not of the form 'module:Class'.
""",
    "Node": """
>>> from enginehouse.sdk import Device, Node
>>> node = Node(name="attic-1", address="192.0.2.7", devices=(Device(kind="cuda", index=0),))
>>> node.devices[0].label, node.free_bytes is None
('cuda:0', True)
""",
    "Options": """
>>> from typing import Annotated
>>> import msgspec
>>> from enginehouse.sdk import Options
>>> class ParrotOptions(Options, frozen=True, kw_only=True):
...     words: Annotated[int, msgspec.Meta(description="Most words of an answer.", ge=1)] = 10
>>> msgspec.convert({"words": 3}, ParrotOptions).words
3
""",
    "Piece": """
>>> from enginehouse.sdk import Piece
>>> def generate(request):
...     yield Piece(prompt_tokens=2)
...     yield Piece(text="hello", tokens=1)
...     yield Piece(finish_reason="stop")
>>> "".join(piece.text for piece in generate(None))
'hello'
""",
    "BadRequest": """
>>> from enginehouse.sdk import BadRequest
>>> error = BadRequest("top_k is -3; give 1 or more.", param="top_k")
>>> error.status, error.code, error.param
(400, 'invalid_request', 'top_k')
""",
    "parse_hub_reference": """
>>> from enginehouse.sdk import parse_hub_reference
>>> reference = parse_hub_reference("org/name@main#*Q4_K_M.gguf")
>>> reference.name, reference.revision, reference.wants("name-Q4_K_M.gguf")
('name', 'main', True)
""",
    "size_in_billions": """
>>> from enginehouse.sdk import size_in_billions
>>> size_in_billions("0_5"), size_in_billions(7)
(0.5, 7.0)
""",
}


def main() -> int:
    """The exit status."""
    made = {PAGE: page(), SURFACE: json.dumps(surface(), indent=1, ensure_ascii=False) + "\n"}
    if "--check" in sys.argv:
        return int(any(not file.exists() or file.read_text("utf-8") != text for file, text in made.items()))
    for file, text in made.items():
        file.write_text(text, "utf-8")
    return 0


def hook_names() -> list[str]:
    return [name for name in vars(hooks) if name.startswith("enginehouse_")]


def surface() -> dict[str, Any]:
    """What plugins can rely on."""
    names = {name: describe(getattr(sdk, name)) for name in sorted(sdk.__all__)}
    return {"hooks": {name: signature_of(getattr(hooks, name)) for name in hook_names()}, "names": names}


def describe(value: Any) -> Any:
    """A struct's fields, a class' methods, a function's signature, or the names that a table holds."""
    if inspect.isclass(value) and issubclass(value, msgspec.Struct):
        return {"struct": dict(fields_of(value))}
    if inspect.isclass(value):
        return {"class": [base.__name__ for base in value.__mro__[1:-1]], **dict(members_of(value))}
    if inspect.isfunction(value):
        return {"function": signature_of(value)}
    if isinstance(value, dict):
        return {"table": sorted(value)}
    return {"type": plain(value)} if typing.get_origin(value) else {"value": type(value).__name__}


def fields_of(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """Each field as it is written, with its default."""
    written: dict[str, Any] = {}
    for kind in reversed(struct.__mro__):
        written.update(inspect.get_annotations(kind))
    for field in msgspec.structs.fields(struct):
        default = "" if field.required else f" = {default_of(field)}"
        yield field.name, f"{plain(written[field.name])}{default}"


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return f"{getattr(field.default_factory, '__name__', 'made')}()"
    value = field.default
    if inspect.isclass(value) or inspect.isfunction(value):
        return "a function" if "<lambda>" in value.__qualname__ else value.__name__
    return repr(value)


def members_of(kind: type) -> Iterator[tuple[str, str]]:
    """Public methods, and what is said of attributes; of the class itself and not of its bases."""
    for name, value in sorted(vars(kind).items()):
        ours = inspect.isfunction(value) and value.__module__.startswith("enginehouse")
        if ours and (not name.startswith("_") or name in ("__init__", "__call__")):
            yield name, signature_of(value)
    for name, written in sorted(inspect.get_annotations(kind).items()):
        if not name.startswith("_"):
            yield name, plain(written)


def signature_of(function: Any) -> str:
    """As it is written. Annotations are texts: they do not differ from one Python to another."""
    parameters = inspect.signature(function)
    parts, star = [], False
    for one in parameters.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not star:
            parts.append("*")
        star = star or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        mark = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        kind = "" if one.annotation is one.empty else f": {plain(one.annotation)}"
        default = "" if one.default is one.empty else f" = {one.default!r}"
        parts.append(f"{mark}{one.name}{kind}{default}")
    answer = parameters.return_annotation
    return f"({', '.join(parts)})" + ("" if answer is parameters.empty else f" -> {plain(answer)}")


def plain(written: Any) -> str:
    return written if isinstance(written, str) else getattr(written, "__name__", None) or str(written)


def page() -> str:
    hooks_part = "".join(section(name, getattr(hooks, name), f"    {name}{{}}") for name in hook_names())
    names = "".join(section(name, getattr(sdk, name), "") for name in sorted(sdk.__all__, key=str.lower))
    more = "More about them, and who uses each: [Hooks](hooks.md).\n\n"
    return f"{HEAD}## Hooks\n\n{more}{hooks_part}## Names\n\n{names}".rstrip() + "\n"


def section(name: str, value: Any, form: str) -> str:
    """A heading, the docstring, what the surface says, and the example that there may be."""
    told = describe(value)
    parts = [f"### `{name}`\n"]
    if form or "function" in told:
        parts.append(f"    {name}{signature_of(value)}\n")
    documented = inspect.isclass(value) or inspect.isfunction(value)
    if documented and (text := inspect.getdoc(value)) and text != inspect.getdoc(dict):
        parts.append(paragraphs(text))
    if rows := told.get("struct"):
        lines = (f"| `{field}` | `{kind.replace('|', chr(92) + '|')}` |" for field, kind in rows.items())
        parts.append("\n".join(("| Field | Type |", "|---|---|", *lines)) + "\n")
    elif "class" in told:
        parts += [f"    {method}{form}\n" for method, form in told.items() if form and str(form).startswith("(")]
    elif "table" in told:
        parts.append(", ".join(f"`{word}`" for word in told["table"]) + "\n")
    if name in EXAMPLES:
        parts.append(f"```pycon{EXAMPLES[name]}```\n")
    return "\n".join(parts) + "\n"


def paragraphs(text: str) -> str:
    """A docstring as text: its lines stand below each other, since many of them say one field each."""
    blocks = text.replace("<", "&lt;").split("\n\n")
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def _block(block: str) -> str:
    lines = [line.strip() for line in block.splitlines()]
    out: list[str] = []
    for line in lines:
        begins = not out or line.split(" ")[0].rstrip(",").endswith(":") or out[-1].endswith(".")
        out.append(f"  \n{line}" if out and begins else (f" {line}" if out else line))
    return "".join(out)


if __name__ == "__main__":
    sys.exit(main())
