"""What plugins contribute, merged: checked for shape and for names that clash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from ..sdk import (
    EngineSpec,
    InvalidSpec,
    ModelFamily,
    ModelType,
    ParserSpec,
    ProvisionerSpec,
    SourceSpec,
)


class Noun(NamedTuple):
    """A collected hook: the name of its kind, and the struct it must answer with."""

    name: str
    struct: type[Any]


NOUNS: dict[str, Noun] = {
    "enginehouse_model_types": Noun("model_types", ModelType),
    "enginehouse_families": Noun("families", ModelFamily),
    "enginehouse_engines": Noun("engines", EngineSpec),
    "enginehouse_sources": Noun("sources", SourceSpec),
    "enginehouse_provisioners": Noun("provisioners", ProvisionerSpec),
    "enginehouse_parsers": Noun("parsers", ParserSpec),
}


def label(item: Any) -> str:
    """The name by which a contribution is known."""
    return str(getattr(item, "name", None) or item.scheme)


def check_answer(hook: str, answer: Iterable[Any] | None) -> list[Any]:
    """The hook's answer as a list. Raises InvalidSpec when an item is not of the hook's struct."""
    items = list(answer or ())
    struct = NOUNS[hook].struct
    for item in items:
        if not isinstance(item, struct):
            raise InvalidSpec(f"{hook}() gave {item!r} ({type(item).__name__}); it must give {struct.__name__}.")
        if not _is_right(item):
            _check_fields(item)
    return items


def _is_right(item: Any) -> bool:
    """Whether all fields hold what they declare: fifty times quicker than finding out which one does not."""
    try:
        msgspec.convert(msgspec.to_builtins(item), type(item))
    except (msgspec.ValidationError, TypeError, NotImplementedError, InvalidSpec):
        return False
    return True


def _check_fields(item: Any) -> None:
    """A struct does not look at its values when it is made; a spec is looked at here, once."""
    for field in msgspec.structs.fields(item):
        value = getattr(item, field.name)
        if isinstance(value, type):
            continue  # an options struct: EngineSpec itself checks it
        try:
            msgspec.convert(msgspec.to_builtins(value), field.type)
        except (msgspec.ValidationError, TypeError, NotImplementedError) as error:
            raise InvalidSpec(f"{type(item).__name__} {label(item)!r}: field {field.name!r}: {error}.") from error


class Contributions:
    """All nouns of all loaded plugins, by kind and by lower-case name."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, Any]] = {noun.name: {} for noun in NOUNS.values()}
        self._registered: dict[str, ModelFamily] = {}

    def add(self, answers: dict[str, list[Any]]) -> None:
        """Takes all answers of one plugin, or none: InvalidSpec when a name is taken or given twice."""
        new: dict[str, dict[str, Any]] = {}
        for hook, items in answers.items():
            kind = NOUNS[hook].name
            new[kind] = self._fresh(kind, items)
        for kind, named in new.items():
            self._items[kind].update(named)

    def adopt(self, family: ModelFamily) -> None:
        """Takes a family that a user registered, beside those of plugins."""
        self._registered[self._key(family)] = family

    def withdraw(self, family: ModelFamily) -> None:
        """Forgets a family that a user registered."""
        self._registered.pop(self._key(family), None)

    def _fresh(self, kind: str, items: list[Any]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for item in items:
            key = self._key(item)
            if key in named or key in self._items[kind]:
                raise InvalidSpec(f"The name {label(item)!r} is taken among {kind.replace('_', ' ')}; choose another.")
            named[key] = item
        return named

    @staticmethod
    def _key(item: Any) -> str:
        name = label(item).lower()
        if isinstance(item, ParserSpec):
            return _parser_key(name, item.kind)
        return f"{item.model_type.lower()}/{name}" if isinstance(item, ModelFamily) else name

    @property
    def model_types(self) -> tuple[ModelType, ...]:
        return tuple(self._items["model_types"].values())

    @property
    def families(self) -> tuple[ModelFamily, ...]:
        """Those of plugins, then those that users registered."""
        return (*self._items["families"].values(), *self._registered.values())

    @property
    def engines(self) -> tuple[EngineSpec, ...]:
        return tuple(self._items["engines"].values())

    def model_type(self, name: str) -> ModelType | None:
        found = self._items["model_types"].get(name.lower())
        return found if isinstance(found, ModelType) else None

    def family(self, model_type: str, name: str) -> ModelFamily | None:
        key = f"{model_type.lower()}/{name.lower()}"
        found = self._items["families"].get(key) or self._registered.get(key)
        return found if isinstance(found, ModelFamily) else None

    def source(self, scheme: str) -> SourceSpec | None:
        found = self._items["sources"].get(scheme.lower())
        return found if isinstance(found, SourceSpec) else None

    def provisioner(self, name: str) -> ProvisionerSpec | None:
        found = self._items["provisioners"].get(name.lower())
        return found if isinstance(found, ProvisionerSpec) else None

    def parser(self, name: str, kind: str) -> ParserSpec | None:
        found = self._items["parsers"].get(_parser_key(name, kind))
        return found if isinstance(found, ParserSpec) else None


def _parser_key(name: str, kind: str) -> str:
    """A name may stand for a parser of each kind; "deepseek-v3.1" is "deepseek_v3_1"."""
    return f"{kind}/{name.lower().replace('-', '_').replace('.', '_')}"
