"""A new plugin from templates: a package whose own tests pass."""

from __future__ import annotations

import importlib.util
import re
from importlib import resources
from importlib.metadata import version
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from packaging.version import Version

from ..host.contributions import Claim
from ..host.plugins import load_plugins
from ..host.settings import Settings, home_folder
from ..sdk import BadRequest

KINDS = ("engine", "family", "launcher", "parser", "provisioner", "source", "cluster", "model-type")

SHIPPED = ("builtin", "core", "fake-engine", "flexible", "llamacpp", "miniatures", "sentence-transformers")
"""Names of ours, whether they are installed here or not; beside those of engines."""
ENGINES = ("transformers", "vllm")
LONGEST = 50  # characters of a name: folders, modules and uids are made of it

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUFFIX = ".tmpl"


def write_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Writes a package into `folder`, which must be new or empty. Returns its files. Raises BadRequest."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise BadRequest(
            f"{name[:LONGEST]!r} is no name for a plugin; use small letters, digits and single dashes, a letter first, "
            f"{LONGEST} characters at most.",
            param="name",
        )
    if kind not in KINDS:
        raise BadRequest(f"There is no kind {kind!r}; there are: {', '.join(KINDS)}.", param="kind")
    if owner := find_owner(name, kind):
        raise BadRequest(
            f"A plugin called {name!r} would take a name of {owner}, and could not be loaded beside it; give another.",
            param="name",
        )
    if folder.exists() and any(folder.iterdir()):
        raise BadRequest(f"{folder} is there already and not empty; give another folder.", param="folder")
    words = words_for(name, kind)
    templates = resources.files(__package__) / "templates"
    written: list[Path] = []
    for root in (templates / "every", templates / kind):
        written += _write(root, folder, words)
    return written


def find_owner(name: str, kind: str) -> str | None:
    """Who has a name already that a plugin of this name would bring: among those that ship and are installed here."""
    words = words_for(name, kind)
    if name in (*SHIPPED, *ENGINES):
        return f"{words['distribution']}, which is Enginehouse's own"
    if importlib.util.find_spec(words["module"]) is not None:
        return f"{words['distribution']}, whose module {words['module']} is installed here"
    census = load_plugins(Settings(home=home_folder()))  # what the home has counts, too
    owners = census.contributions.owners()
    taken = (owners[claim] for claim in _claims(words, kind) if claim in owners)
    plugin = words["plugin"] if census.record(words["plugin"]) else next(taken, None)
    record = census.record(plugin) if plugin else None
    return f"the plugin {record.called}" if record else None


def _claims(words: dict[str, str], kind: str) -> list[Claim]:
    """What its template contributes."""
    name = words["name"]
    return {
        "engine": [("engines", name), ("families", f"llm/{name}-test")],
        "family": [("families", f"llm/{name}")],
        "launcher": [("launchers", name)],
        "parser": [("parsers", f"reasoning/{name}")],
        "provisioner": [("provisioners", name)],
        "source": [("sources", words["scheme"])],
        "cluster": [("clusters", name)],
        "model-type": [("model_types", name), ("engines", f"{name}-engine")],
    }[kind]


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
