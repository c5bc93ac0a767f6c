"""The words in which people ask for packages: requirements, Xinference's placeholders and its markers. Pure.

A word is a requirement as PEP 508 has it, the URL of a wheel, `#system_numpy#` (the version that the server has), or
`#vllm_dependencies#` (what that engine requires). Its marker may also compare `#engine#` (or `#model_engine#`) and
`cuda_version`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ..sdk import BadRequest
from ..sdk.credentials import hide_credentials

_SYSTEM = re.compile(r"#system_(.+?)#", re.I)
_DEPENDENCIES = re.compile(r"#(.+?)_dependencies#", re.I)
_PLACEHOLDER = re.compile(r"#\w[\w.-]*#")
_ENGINE = re.compile(r"""#(?:model_)?engine#\s*(==|!=|not\s+in|in)\s*(["'])(.*?)\2""", re.I)
_CUDA = re.compile(r"""\bcuda_version\s*(==|!=|<=|>=|<|>|~=)\s*(["'])(.*?)\2""")
_MARKER = re.compile(r"\s*;\s*")
_MARKER_OF_URL = re.compile(r"\s+;\s*")
_TRUE, _FALSE = 'python_version >= "0"', 'python_version < "0"'
_INSTEAD = "the fields index_url, extra_index_url, find_links and trusted_host of a `virtualenv` say such things"


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What placeholders and markers stand for.

    versions: of the server's distributions, by canonical name. requirements: of the engine of a name, None when no
    plugin brings it. cuda_version: None where there is none, so that every comparison with it fails.
    """

    engine: str
    versions: Mapping[str, str]
    requirements: Callable[[str], tuple[str, ...] | None]
    cuda_version: str | None = None


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One package that somebody asks for. name: canonical; requirement: PEP 508 without a marker; by: who asks."""

    name: str
    requirement: str
    by: str = ""

    @property
    def is_reference(self) -> bool:
        """Whether it says where the package lies, instead of which version."""
        return Requirement(self.requirement).url is not None


class Unanswerable(msgspec.Struct, frozen=True):
    """A word that stands for nothing here. reason: a sentence for people."""

    reason: str


def check_words(words: Iterable[str], param: str) -> None:
    """Raises BadRequest for the first word that could never be read, wherever it is asked for."""
    nowhere = Surroundings(engine="", versions={}, requirements=lambda name: None)
    for word in words:
        head, marker = split_marker(word)
        if marker:
            _holds(marker, nowhere, word, param)
        list(read_words([head], nowhere, "", param))


def read_words(words: Iterable[str], around: Surroundings, by: str, param: str) -> Iterator[Wish | Unanswerable]:
    """What words ask for here, in their order. Raises BadRequest for what cannot be read. `by` and `param` say whose
    words they are: for people, and the field they stand in."""
    for word in words:
        head, marker = split_marker(word)
        if not head or (marker and not _holds(marker, around, word, param)):
            continue
        if _is_placeholder(head):
            yield from _fill(head, around, by, param)
        else:
            requirement = read_requirement(head, param)
            yield Wish(name=canonicalize_name(requirement.name), requirement=str(requirement), by=by)


def split_marker(word: str) -> tuple[str, str]:
    """A word without its marker, and the marker. After a URL, which may hold semicolons, it begins with a space."""
    word = word.strip()
    found = (_MARKER_OF_URL if "://" in word else _MARKER).search(word)
    return (word[: found.start()], word[found.end() :]) if found else (word, "")


def read_requirement(text: str, param: str) -> Requirement:
    """A requirement, or the URL of a wheel. Raises BadRequest that says what is wrong with it."""
    if text.startswith("-"):
        raise BadRequest(f"{hide_credentials(text)!r} is an option of pip and no package; {_INSTEAD}.", param=param)
    try:
        return Requirement(_named(text, param) if _is_bare_place(text) else text)
    except InvalidRequirement as error:
        shown = hide_credentials(text)
        why = hide_credentials(str(error).splitlines()[0].rstrip("."))
        raise BadRequest(
            f"{shown!r} is no package as pip names them ({why}); give a name and a version, such as 'numpy>=2'.",
            param=param,
        ) from error


def _is_bare_place(text: str) -> bool:
    """Whether it is a URL or a path without a name before it."""
    return "@" not in text.partition("://")[0] and ("://" in text or text.startswith(("/", "./", "../", "~")))


def _named(place: str, param: str) -> str:
    """The URL of a wheel with the name that the wheel's file has."""
    file = unquote(urlsplit(place).path).rpartition("/")[2]
    if "://" not in place or not file.endswith(".whl"):
        raise BadRequest(
            f"{hide_credentials(place)!r} does not say which package it is; write 'name @ URL'.", param=param
        )
    return f"{file.partition('-')[0]} @ {place}"


def _is_placeholder(head: str) -> bool:
    return _PLACEHOLDER.fullmatch(head) is not None


def _fill(head: str, around: Surroundings, by: str, param: str) -> Iterator[Wish | Unanswerable]:
    if system := _SYSTEM.fullmatch(head):
        name = canonicalize_name(system[1])
        version = around.versions.get(name)
        if version is None:
            yield Unanswerable(f"{head} is left out: the server has no {system[1]}.")
        else:
            yield Wish(name=name, requirement=f"{name}=={version}", by=by)
    elif dependencies := _DEPENDENCIES.fullmatch(head):
        required = around.requirements(dependencies[1])
        if required is None:
            yield Unanswerable(f"{head} is left out: no installed plugin brings an engine {dependencies[1]}.")
        else:
            yield from read_words(required, around, by, param)
    else:
        raise BadRequest(f"{head!r} is no placeholder; there are #system_NAME# and #ENGINE_dependencies#.", param=param)


def engine_key(name: str) -> str:
    """An engine's name as it is compared: "llama.cpp" is "llama_cpp"."""
    return re.sub(r"[.\-]", "_", name.strip().lower())


def _holds(marker: str, around: Surroundings, word: str, param: str) -> bool:
    try:
        plain = _ENGINE.sub(lambda found: _truth(_compare_engine(found, around.engine)), marker)
        plain = _CUDA.sub(lambda found: _truth(_compare_cuda(found, around.cuda_version)), plain)
        return Marker(plain).evaluate({"extra": ""})
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, InvalidSpecifier) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise BadRequest(
            f"The marker of {hide_credentials(word)!r} cannot be read ({why}); it may compare #engine#, cuda_version "
            "and what PEP 508 names.",
            param=param,
        ) from error


def _truth(value: bool) -> str:
    return _TRUE if value else _FALSE


def _compare_engine(found: re.Match[str], engine: str) -> bool:
    operator = " ".join(found[1].lower().split())
    wanted = {engine_key(name) for name in (re.split(r"[,\s]+", found[3]) if "in" in operator else [found[3]])}
    return (engine_key(engine) in wanted) == (operator in ("==", "in"))


def _compare_cuda(found: re.Match[str], version: str | None) -> bool:
    wanted = SpecifierSet(f"{found[1]}{found[3]}")
    return version is not None and wanted.contains(version, prereleases=True)
