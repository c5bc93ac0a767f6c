"""Puts every family file into the one form, and writes docs/reference/catalogue.md from them.

`python scripts/catalogue.py` writes what is not as it should be; with `--check` it writes nothing, says what it would
write, and exits with 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from enginehouse.builtin.catalogue import FAMILIES, FamilyFile, read_file
from enginehouse.builtin.plugin import enginehouse_parsers
from enginehouse.sdk import size_in_billions

SHIPPED_TOOL_PARSERS = frozenset(parser.name for parser in enginehouse_parsers() if parser.kind == "tool")
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "catalogue.md"
FIELDS = (
    "name",
    "model_type",
    "description",
    "licence",
    "languages",
    "abilities",
    "context_length",
    "facts",
    "tool_parser",
    "reasoning_parser",
    "architectures",
    "weights",
)
TYPES = {
    "LLM": "Language models",
    "embedding": "Embedding models",
    "rerank": "Rerankers",
    "audio": "Audio models",
    "image": "Image models",
    "video": "Video models",
}
HEAD = """# Catalogue

<!-- Written by scripts/catalogue.py from core/src/enginehouse/builtin/families; change those files, not this page. -->

The {count} families that come with Enginehouse, by type. `enginehouse launch --model-name NAME` runs one, if an engine
that serves its type and format is installed. Sizes are billions of parameters; a context is in tokens, and empty where
sources disagree; `(no parser: NAME)` marks models whose tool calls need a parser that no shipped plugin brings yet:
they chat, but are not offered tools. How facts get here, and how to add a family:
[Add a family](../how-to/add-a-family.md).
"""


def main(arguments: list[str]) -> int:
    """Exit status: 1 when something was not as it should be and `--check` was given."""
    stale = [(file, text) for file, text in wanted_texts() if not file.is_file() or file.read_text("utf-8") != text]
    for file, text in stale:
        sys.stdout.write(f"{file.name}\n")
        if "--check" not in arguments:
            file.write_text(text, "utf-8")
    return int(bool(stale) and "--check" in arguments)


def wanted_texts() -> Iterator[tuple[Path, str]]:
    """Every file that this script owns, as it should read."""
    files = sorted(FAMILIES.glob("*.json"))
    for file in files:
        yield file, format_family(json.loads(file.read_text("utf-8")))
    yield PAGE, write_page([read_file(file) for file in files])


def format_family(fields: dict[str, Any]) -> str:
    """One line a field, in the order of FIELDS; one line a set of weights."""
    lines = [f"  {_json(name)}: {_value(name, fields[name])}" for name in FIELDS if name in fields]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _value(name: str, value: Any) -> str:
    if name != "weights":
        return _json(value)
    return "[\n" + ",\n".join(f"    {_json(entry)}" for entry in value) + "\n  ]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_page(families: list[FamilyFile]) -> str:
    """The reference page."""
    parts = [HEAD.format(count=len(families))]
    for model_type, title in TYPES.items():
        rows = [family for family in families if family.model_type == model_type]
        if rows:
            parts.append(f"## {title}\n\n{_table(sorted(rows, key=lambda family: family.name.lower()))}")
    return "\n".join(parts)


def _table(families: Iterable[FamilyFile]) -> str:
    head = "| name | what it is | sizes | formats | context | abilities | licence |\n" + "| --- " * 7 + "|\n"
    return head + "".join(f"| {' | '.join(_cells(family))} |\n" for family in families)


def _cells(family: FamilyFile) -> Iterator[str]:
    yield f"`{family.name}`"
    yield family.description
    sizes = dict.fromkeys(weights.size_in_billions for weights in family.weights)
    yield ", ".join(f"{size_in_billions(size):g}" for size in sorted(sizes, key=size_in_billions))
    yield ", ".join(dict.fromkeys(weights.format for weights in family.weights))
    yield str(family.context_length or "")
    yield ", ".join(_ability(family, word) for word in family.abilities)
    yield family.licence


def _ability(family: FamilyFile, word: str) -> str:
    missing = word == "tools" and family.tool_parser not in SHIPPED_TOOL_PARSERS
    return f"tools (no parser: {family.tool_parser})" if missing else word


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
