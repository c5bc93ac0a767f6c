"""Registrations: models that users made known, beside those of plugins.

A registration is kept as the document it was sent as. One that shall persist is a file of its own in the home,
registrations/TYPE/NAME.json, and may also be put there by hand while the server is down.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..sdk import (
    BadRequest,
    EnginehouseError,
    ModelFamily,
    ModelNotFound,
    ModelType,
    Problem,
    Registration,
    VirtualEnvironment,
    parse_hub_reference,
)
from ..sdk.credentials import HIDDEN
from ..sdk.registrations import HUBS, read_uri
from .chat_templates import problem_of
from .contributions import Contributions
from .home import private_folder, write_whole
from .package_words import check_words
from .schema_check import find_problems, without_nulls

Document = dict[str, Any]

NAME_BYTES = 200  # a file name holds 255
FOLDER = "registrations"
_NAME = re.compile(r"[^+/?%#&=\s\x00-\x1f\x7f]+")
_NEVER_READ = ("is_builtin",)

logger = logging.getLogger(__name__)


class InvalidRegistration(BadRequest):
    """A registration with one or more wrong fields; the message has a sentence for each."""

    code = "invalid_registration"


class Registered(NamedTuple):
    """A registered model. document: as it was sent, of the newest version, with what its reader adds."""

    family: ModelFamily
    document: Document
    file: Path | None = None


class Registrations:
    """The models that users registered, by type and name. Planning knows them through `contributions`."""

    def __init__(self, contributions: Contributions, home: Path) -> None:
        self._contributions = contributions
        self._folder = home / FOLDER
        self._models: dict[tuple[str, str], Registered] = {}
        self._writing = asyncio.Lock()

    def load(self) -> None:
        """Takes up what persisted. A file that is wrong is moved aside; none of them stops the server."""
        for file in sorted(self._folder.glob("*/*.json")):
            kind = self._contributions.model_type(file.parent.name)
            if kind is None or kind.registration is None:
                logger.warning("registration %s waits for a plugin that brings its model type", file)
                continue
            try:
                registered = self._read(kind, _newest(read_document(file.read_bytes()), kind))
                self._check_free(kind, registered.family.name)
            except OSError as error:
                logger.warning("registration %s cannot be read: %s", file, error)
            except NameTaken as error:
                logger.warning("registration %s is left out: %s", file, error.message)
            except EnginehouseError as error:
                _set_aside(file, error.message)
            except Exception as error:  # noqa: BLE001 - the schema is a plugin's, and must not keep the server down
                logger.warning("registration %s is left out: its model type's plugin broke: %r", file, error)
            else:
                self._add(kind, registered._replace(file=file))

    async def register(self, model_type: str, model: object, persist: bool) -> ModelFamily:
        """Makes a model known. `model` is the document, or its JSON as text.

        Raises InvalidRegistration with every wrong field, NameTaken, BadRequest for a type that there is not,
        RegistrationNotKept when it could not be written.
        """
        kind = self._kind(model_type)
        document = _newest(read_document(model), kind)
        registered = self._read(kind, document, await asyncio.to_thread(self._weights_problems, document))
        async with self._writing:
            self._check_free(kind, registered.family.name)
            if persist:
                file = self._folder / kind.name / f"{registered.family.name}.json"
                await asyncio.to_thread(_keep, file, registered.document)
                registered = registered._replace(file=file)
            self._add(kind, registered)
        return registered.family

    async def unregister(self, model_type: str, name: str) -> bool:
        """Forgets a model; what runs of it runs on. Whether there was one. Raises BadRequest for a plugin's."""
        kind = self._kind(model_type)
        async with self._writing:
            registered = self._models.get((kind.name, name.lower()))
            if registered is None:
                if self._contributions.family(kind.name, name):
                    raise BadRequest(
                        f"{name!r} comes with a plugin and is no registration of yours, so it cannot be unregistered.",
                        param="model_name",
                    )
                return False
            if registered.file:
                await asyncio.to_thread(_forget, registered.file)
            del self._models[kind.name, name.lower()]
            self._contributions.withdraw(registered.family)
        return True

    def find(self, model_type: str, name: str) -> tuple[ModelFamily, Document | None]:
        """A model of a plugin (without a document) or of a user. Raises ModelNotFound."""
        kind = self._kind(model_type)
        registered = self._models.get((kind.name, name.lower()))
        family = registered.family if registered else self._contributions.family(kind.name, name)
        if family is None:
            raise ModelNotFound(f"Model {name} not found among {kind.name} models.", param="model_name")
        return family, registered.document if registered else None

    def all(self, model_type: str) -> list[tuple[ModelFamily, Document | None]]:
        """All models of a type, by name; those of plugins without a document."""
        kind = self._kind(model_type)
        of_type = [one for one in self._contributions.families if one.model_type.lower() == kind.name.lower()]
        named = sorted(of_type, key=lambda family: family.name.lower())
        return [self.find(kind.name, family.name) for family in named]

    def _kind(self, model_type: str) -> ModelType:
        kind = self._contributions.model_type(model_type)
        if kind is None or kind.registration is None:
            able = ", ".join(one.name for one in self._contributions.model_types if one.registration)
            raise BadRequest(
                f"There is no model type {model_type!r} to register; there are: {able}.", param="model_type"
            )
        return kind

    def _read(self, kind: ModelType, document: Document, known: Iterable[Problem] = ()) -> Registered:
        assert kind.registration is not None
        registration = check_document(document, kind.registration, known)
        family = _inherit(registration.family(kind.name), self._contributions)
        family = msgspec.structs.replace(family, virtualenv=registration.virtualenv)
        defaults = msgspec.to_builtins(registration)
        return Registered(family, {**defaults, **document})

    def _check_free(self, kind: ModelType, name: str) -> None:
        if self._contributions.family(kind.name, name):
            raise NameTaken(f"Model name conflicts with existing model {name}; choose another.", param="model_name")

    def _weights_problems(self, document: Document) -> list[Problem]:
        """What is wrong with the places that a document names, at its top and in its specs."""
        specs = document.get("model_specs")
        listed = specs if isinstance(specs, list) else []
        places = [("", document), *((f"model_specs[{at}].", one) for at, one in enumerate(listed))]
        found = ((at, self._against(one)) for at, one in places if isinstance(one, dict))
        return [Problem(at + problem.field, problem.message) for at, problem in found if problem]

    def _against(self, place: Document) -> Problem | None:
        uri, repository, hub = (place.get(key) for key in ("model_uri", "model_id", "model_hub"))
        if isinstance(uri, str) and uri:
            said = self._against_uri(read_uri(uri))
            return Problem("model_uri", said) if said else None
        if not isinstance(repository, str) or not repository:
            return None
        named = hub.lower() if isinstance(hub, str) else "huggingface"
        if self._contributions.source(HUBS.get(named, named)) is None:
            return Problem("model_hub", f"is {hub!r}, which no installed plugin can fetch from")
        try:
            parse_hub_reference(repository)
        except BadRequest as error:
            return Problem("model_id", f"is wrong: {error.message.rstrip('.')}")
        return None

    def _against_uri(self, uri: str) -> str:
        scheme, _, reference = uri.partition(":")
        if scheme != "file":
            known = self._contributions.source(scheme)
            return (
                ""
                if known
                else f"is {scheme}://{reference}, of the kind {scheme!r}, which no installed plugin can fetch"
            )
        path = Path(reference)
        try:
            there = path.exists()
        except (OSError, ValueError):  # a name that no file can have
            there = False
        if not path.is_absolute():
            return f"is {reference!r}, which is no absolute path"
        return "" if there else f"is {reference!r}, which is not on the server's machine"

    def _add(self, kind: ModelType, registered: Registered) -> None:
        self._contributions.adopt(registered.family)
        self._models[kind.name, registered.family.name.lower()] = registered


class NameTaken(BadRequest):
    """A model of that name and type is known already."""

    code = "name_taken"


class RegistrationNotKept(EnginehouseError):
    """The file could not be written or removed; what is registered is as it was."""

    code = "registration_not_kept"


def read_document(model: object) -> Document:
    """The JSON object in `model`, which may be text. Raises InvalidRegistration."""
    if isinstance(model, str | bytes):
        try:
            model = msgspec.json.decode(model)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidRegistration(f"The registration is not JSON: {error}.", param="model") from error
    if not isinstance(model, dict):
        raise InvalidRegistration("`model` must be a JSON object, or one as text.", param="model")
    return model


def _newest(document: Document, kind: ModelType) -> Document:
    """The document in the newest version, without what is never read."""
    upgraded = kind.registration.upgrade(document) if kind.registration else document
    return {key: value for key, value in upgraded.items() if key not in _NEVER_READ}


def check_document(document: Document, schema: type[Registration], known: Iterable[Problem] = ()) -> Registration:
    """The registration in a document. Raises InvalidRegistration with a sentence for every wrong field.

    known: problems that were found elsewhere.
    """
    problems = [*find_problems(document, schema)]
    name = document.get("model_name")
    if isinstance(name, str) and (said := _against_name(name)):
        problems.append(Problem("model_name", said))
    if not problems:
        registration = msgspec.convert(without_nulls(document), schema)
        problems.extend(registration.problems())
        problems.extend(_wrong_words(registration.virtualenv))
        problems.extend(_wrong_template(getattr(registration, "chat_template", None)))
    problems.extend(_hidden_words(document))
    problems.extend(one for one in known if one.field not in {problem.field for problem in problems})
    if problems:
        title = name if isinstance(name, str) else "of a model"
        raise InvalidRegistration(_sentence(title, problems), param=problems[0].field)
    return registration


def _wrong_words(block: VirtualEnvironment | None) -> Iterator[Problem]:
    """The first word of each list that no environment could be made of."""
    for field in ("packages", "overrides") if block else ():
        try:
            check_words(getattr(block, field), field)
        except BadRequest as error:
            yield Problem(f"virtualenv.{field}", f"is wrong: {error.message.rstrip('.')}")


def _wrong_template(template: str | None) -> Iterator[Problem]:
    """What is wrong with a template; one without a brace is a family's name."""
    if template and "{" in template and (problem := problem_of(template)):
        yield Problem("chat_template", problem)


def _hidden_words(value: object, field: str = "") -> Iterator[Problem]:
    """URLs whose credentials were hidden when the registration was shown: nobody could use them."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _hidden_words(one, f"{field}.{name}".lstrip("."))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from _hidden_words(one, f"{field}[{at}]")
    elif isinstance(value, str) and f"://{HIDDEN}@" in value:
        yield Problem(field, f"has the credentials of a URL hidden as {HIDDEN}; give them, or leave them out")


def _against_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        return f"is {name!r}: it must have no spaces and none of + / ? % # & ="
    return f"is longer than {NAME_BYTES} bytes" if len(name.encode(errors="surrogatepass")) > NAME_BYTES else ""


def _sentence(name: str, problems: list[Problem]) -> str:
    return f"The registration {name} is wrong. " + "; ".join(f"{one.field} {one.message}" for one in problems) + "."


def _inherit(family: ModelFamily, contributions: Contributions) -> ModelFamily:
    """What a known family lends: all of its chat part when `chat_template` is its name or nothing, else its parsers.

    A tool parser that nobody here brings is left out: programs written for Xinference name its own.
    """
    if family.tool_parser and contributions.parser(family.tool_parser, "tool") is None:
        family = msgspec.structs.replace(family, tool_parser=None)
    by_template = contributions.family(family.model_type, family.chat_template or "")
    lender = by_template or contributions.family(family.model_type, str(family.facts.get("model_family") or ""))
    if lender is None or "chat" not in family.abilities:
        return family
    if by_template or family.chat_template is None:
        family = msgspec.structs.replace(
            family,
            chat_template=lender.chat_template,
            stop=lender.stop or family.stop,
            stop_token_ids=lender.stop_token_ids or family.stop_token_ids,
        )
    return msgspec.structs.replace(
        family,
        tool_parser=family.tool_parser or lender.tool_parser,
        reasoning_parser=family.reasoning_parser or lender.reasoning_parser,
    )


def _keep(file: Path, document: Document) -> None:
    """Writes the file, whole or not at all."""
    try:
        private_folder(file.parent.parent)
        private_folder(file.parent)
        write_whole(file, msgspec.json.format(msgspec.json.encode(document), indent=2))
    except OSError as error:
        raise RegistrationNotKept(
            f"The registration could not be written to {file}: {error}. Register it without persist, or make room."
        ) from error


def _forget(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise RegistrationNotKept(f"The registration {file} could not be removed: {error}.") from error


def _set_aside(file: Path, why: str) -> None:
    aside = file.with_name(f"{file.name}.broken")
    logger.warning("registration %s cannot be used and is now %s: %s", file, aside.name, why)
    try:
        file.replace(aside)
    except OSError as error:
        logger.warning("%s could not be moved aside: %s", file, error)
