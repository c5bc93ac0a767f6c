"""A new plugin from templates: a package whose own tests pass."""

from __future__ import annotations

import re
from importlib import resources
from importlib.metadata import version
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from packaging.version import Version

from ..sdk import BadRequest

KINDS = ("engine", "family", "launcher", "parser", "provisioner", "source", "model-type")
"""Those for which there is a hook; workers run on one machine, so there is none for clusters."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUFFIX = ".tmpl"


def write_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Writes a package into `folder`, which must be new or empty. Returns its files. Raises BadRequest."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no name for a plugin; use small letters, digits and single dashes.", param="name"
        )
    if kind not in KINDS:
        raise BadRequest(f"There is no kind {kind!r}; there are: {', '.join(KINDS)}.", param="kind")
    if folder.exists() and any(folder.iterdir()):
        raise BadRequest(f"{folder} is there already and not empty; give another folder.", param="folder")
    words = words_for(name, kind)
    templates = resources.files(__package__) / "templates"
    written: list[Path] = []
    for root in (templates / "every", templates / kind):
        written += _write(root, folder, words)
    return written


def words_for(name: str, kind: str) -> dict[str, str]:
    """What stands in the templates' places."""
    plain = name.replace("-", "_")
    core = Version(version("enginehouse-core"))
    article = "An" if kind[0] in "aeiou" else "A"
    return {
        "name": name,
        "plugin": plain,
        "module": f"enginehouse_{plain}",
        "distribution": f"enginehouse-{name}",
        "Class": "".join(word.capitalize() for word in name.split("-")),
        "VARIABLE": plain.upper(),
        "tag": plain,
        "scheme": plain,
        "task": f"ask_{plain}",
        "route": f"{plain}/ask",
        "summary": f"{article} {kind.replace('-', ' ')} for Enginehouse: {name}",
        "core_from": f"{core.major}.{core.minor}",
        "core_below": f"{core.major}.{core.minor + 1}",
    }


def _write(root: Traversable, folder: Path, words: dict[str, str]) -> list[Path]:
    written = []
    for entry in sorted(root.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            below = folder / "src" / words["module"] if entry.name == "src" else folder / entry.name
            written += _write(entry, below, words)
        elif entry.name.endswith(_SUFFIX):
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / entry.name.removesuffix(_SUFFIX)
            file.write_text(Template(entry.read_text("utf-8")).substitute(words), "utf-8")
            written.append(file)
    return written
