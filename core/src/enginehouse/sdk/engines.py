"""Engines: what can run a model."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from .chat import Message, Tool
from .constraints import ConstraintKind
from .embeddings import EmbedRequest, Vectors
from .errors import InvalidSpec
from .generation import GenerateRequest, Piece
from .reranking import ScoreRequest, Scores

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of an engine's launch options.

    The fields give validation, the JSON schema, CLI flags and forms; describe each with
    `typing.Annotated[..., msgspec.Meta(description=..., ge=...)]` and give each a default.
    """


class EngineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An engine, light: what it can run, and where its heavy half is.

    name: as on the wire, matched without regard to case.
    tasks: what the heavy class (or the server binary) implements itself: tasks of `enginehouse.sdk.tasks`, or of a
        model type that a plugin brings. With "generate" comes "chat".
    formats: of weights; see `Variant.format`.
    architectures: shell patterns on names in config.json ("*ForCausalLM"); empty accepts any.
    quantizations: words accepted; empty accepts any.
    devices: kinds this engine can use, best first ("cuda", "mps", "cpu").
    platforms: `sys.platform` values; empty accepts any.
    requirements: PEP 508 strings that its environment must satisfy. overrides: PEP 508 strings taken instead of
        whatever any package says of that name; exclusions: names that are never installed. The last two count only
        where an environment is made. What depends on the model or the device is said by the hook
        `enginehouse_requirements`.
    engine: "module:Class" of a Python engine; or
    command: "module:function" that takes a WorkerOrder and returns the argv of a server that speaks HTTP on
        the order's socket. Exactly one of the two is given.
    options: the struct of its launch options.
    memory: "module:function" with the shape of `enginehouse.sdk.EstimateMemory`; empty leaves it to a rough rule.
    rank: when several engines can run a model and nobody said which, the highest rank is taken.
    """

    name: str
    tasks: tuple[str, ...]
    formats: tuple[str, ...]
    model_types: tuple[str, ...] = ("LLM",)
    architectures: tuple[str, ...] = ()
    quantizations: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    platforms: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    engine: str = ""
    command: str = ""
    options: type[Options] = Options
    memory: str = ""
    rank: int = 0
    summary: str = ""

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise InvalidSpec(f"Engine {self.name!r}: {problem}")

    @property
    def offers(self) -> tuple[str, ...]:
        """The tasks it answers for, those that the runner derives included."""
        derived = ("chat",) if "generate" in self.tasks and "chat" not in self.tasks else ()
        return (*self.tasks, *derived)


def _problems(spec: EngineSpec) -> Iterator[str]:
    if not _NAME.fullmatch(spec.name):
        yield "its name may hold letters, digits, '.', '_' and '-' only."
    if bool(spec.engine) == bool(spec.command):
        yield "give either `engine` or `command`."
    for target in filter(None, (spec.engine, spec.command, spec.memory)):
        if not _TARGET.fullmatch(target):
            yield f"{target!r} is not of the form 'module:name'."
    if not spec.tasks:
        yield "`tasks` may not be empty."
    if not spec.formats or not spec.devices:
        yield "`formats` and `devices` may not be empty."
    if not (isinstance(spec.options, type) and issubclass(spec.options, Options)):
        yield "`options` is not a subclass of enginehouse.sdk.Options."


class EngineContext(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is built with, in the worker.

    model_path: folder (or file) of the weights. device: "cpu", "cuda", "mps".
    options: an instance of the spec's options struct.
    context_length: what the family says, in tokens; the engine may know better.
    chat_template: the family's Jinja template, when it replaces the tokenizer's.
    stop_token_ids: end an answer, beside the model's own.
    tasks: what it will be asked, of those that its spec declares.
    facts: what the model's registration or family says beside all this. launcher: "module:callable" that builds the
        model, for the engines that run what launchers build.
    may_sleep: the model is unloaded when it lies idle, so an engine that can sleep prepares for it; see `Sleeping`.
    leave: ends this worker with a reason that its events then say, once running requests are answered; the host
        starts another. For what a process cannot mend in itself: a call that never returns, memory that only grows.
    report: takes progress from 0 to 1 and a short word for the stage while loading.
    """

    model_uid: str
    model_path: Path
    device: str
    options: Any
    context_length: int | None = None
    chat_template: str | None = None
    stop_token_ids: tuple[int, ...] = ()
    trust_remote_code: bool = False
    tasks: tuple[str, ...] = ()
    facts: dict[str, Any] = {}
    launcher: str | None = None
    may_sleep: bool = False
    report: Callable[[float, str], None] = lambda progress, stage: None
    leave: Callable[[str], None] = lambda reason: None


class Engine(Protocol):
    """A Python engine: this, and one method for each task that its spec declares, named as the task.

    A method takes the task's request struct and returns a result, a generator, a coroutine or an async
    generator, whichever its library likes. Sync methods run on threads of the runner; closing the
    generator (GeneratorExit, or `aclose()`) means that the caller is gone: stop at once.
    """

    def __init__(self, context: EngineContext) -> None: ...

    def load(self) -> Awaitable[None] | None:
        """Loads the model. Runs once, in a thread (or as a coroutine); raises with a message for the user."""

    def close(self) -> Awaitable[None] | None:
        """Gives everything back. Runs once, after the last request has ended."""


class TextEngine(Engine, Protocol):
    """An engine that declares "generate"; the runner makes `chat` and both wire formats from it."""

    context_length: int | None
    """Tokens that prompt and answer may take together; None when there is no limit."""

    def generate(self, request: GenerateRequest) -> Iterator[Piece] | AsyncIterator[Piece]:
        """Yields pieces of one answer. Only the last has a finish_reason; the first has prompt_tokens."""
        ...

    def chat_prompt(
        self, messages: tuple[Message, ...], tools: tuple[Tool, ...], template_options: dict[str, Any]
    ) -> str | list[int]:
        """The prompt of a conversation, by the model's chat template. Raises BadRequest when the template refuses."""
        ...


class Constraining(Protocol):
    """What an engine may say beside its tasks, known after `load`; requests for what it does not name are refused."""

    constraints: tuple[ConstraintKind, ...]
    """Kinds of `GenerateRequest.constraint` that it honours."""

    adapters: tuple[str, ...]
    """Names of the LoRA weights that it has loaded beside the model: what `GenerateRequest.lora_name` may be."""

    image_mark: str
    """What stands for an image in a prompt, where it reads images: a text that no user can guess. See
    `GenerateRequest.images`; messages reach `chat_prompt` with marks instead of images."""


class Sleeping(Protocol):
    """What an engine may offer beside its tasks: giving a device's memory back without ending.

    When a model lies idle its worker then sleeps instead of being ended, and the next request wakes it.
    """

    can_sleep: bool
    """Whether it can here and now, known after `load`."""

    def sleep(self) -> Awaitable[None] | None:
        """Gives back what it holds of its devices; what it needs to wake it keeps in the machine's memory.

        No request runs. Runs in a thread, or as a coroutine. When it raises, the worker is ended.
        """
        ...

    def wake(self) -> Awaitable[None] | None:
        """Is again as it was before it slept. When it raises, the worker is ended and another one started."""
        ...


class EmbeddingEngine(Engine, Protocol):
    """An engine that declares "embed". It joins the calls of several callers where that fills a batch."""

    def embed(self, request: EmbedRequest) -> Vectors | Awaitable[Vectors] | Iterator[Vectors] | AsyncIterator[Vectors]:
        """The vectors of all inputs, at once or in several pieces, so that a large answer is written as it is made."""
        ...


class RerankEngine(Engine, Protocol):
    """An engine that declares "rerank"."""

    def rerank(self, request: ScoreRequest) -> Scores | Awaitable[Scores] | Iterator[Scores] | AsyncIterator[Scores]:
        """The scores of all documents, at once or in several pieces."""
        ...


class Tokenizing(Protocol):
    """What an engine may offer beside its tasks: each method that is there answers its route, the others are refused.

    The methods run on a thread, at any time after `load`, several at once. They raise BadRequest for ids that the
    vocabulary does not have.
    """

    def tokenize(self, text: str, special_tokens: bool = False) -> list[int]:
        """Token ids of a text. special_tokens: the text spells its special tokens out, so none are added."""
        ...

    def detokenize(self, ids: list[int]) -> str:
        """The text of token ids, special tokens left out."""
        ...

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Each id as the vocabulary spells it."""
        ...
