"""What the engine needs of a library that holds llama.cpp, and which one it takes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from enginehouse.sdk import EngineContext, GenerateRequest, LaunchFailed

from .chunks import Chunk
from .model_file import ModelFile

PACKAGES = {"xllamacpp": "xllamacpp", "llama_cpp": "llama-cpp-python"}
"""By what is imported: what is installed. The first that is there is taken."""
_MODULES = {"xllamacpp": "server_core.native", "llama_cpp": "stepping.native"}


class Limits(NamedTuple):
    """vocabulary: how many ids there are. context_length: tokens of prompt and answer together.

    adapters: names, in the order in which the binding knows them. special: how the special tokens are spelled.
    """

    vocabulary: int
    context_length: int
    adapters: tuple[str, ...] = ()
    special: tuple[str, ...] = ()


class Question(NamedTuple):
    """A request as a binding takes it. prompt: text, before which it puts the first token by itself, or ids.

    asks_ids: whether each token is told with its id. images: what stands at the marks in the prompt, as files.
    mark: what stands for one.
    """

    request: GenerateRequest
    prompt: str | list[int]
    limits: Limits
    asks_ids: bool = False
    images: tuple[bytes, ...] = ()
    mark: str = ""


class Call(Protocol):
    """One answer while it is made."""

    async def batch(self) -> list[Chunk]:
        """Waits for chunks; gives all that have come, none when there are no more. Raises what the library did."""
        ...

    def close(self) -> None:
        """Nothing more is wanted."""


class Vectors(NamedTuple):
    """rows: a vector for each input. tokens: that were read."""

    rows: list[Sequence[float]]
    tokens: int


class Binding(Protocol):
    """A loaded model. All methods but `ask` block, and may be called from several threads."""

    image_mark: str
    """What stands for an image in a prompt; empty where none can be read."""

    def prepare(self, question: Question) -> Any:
        """Checks a question. A constraint may take long to read. Raises BadRequest."""

    async def ask(self, prepared: Any) -> Call: ...

    def embed(self, inputs: Sequence[str | list[int]], *, normal: bool) -> Vectors:
        """Raises BadRequest, EngineFailed."""
        ...

    def rank(self, query: str, documents: Sequence[str]) -> Vectors:
        """One number for each document, by the library's own way to put the two together."""
        ...

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids; special tokens that the text spells out are always read as such, as transformers does."""
        ...

    def detokenize(self, ids: list[int]) -> str: ...

    def close(self) -> None:
        """Ends what still runs."""


class Loading(NamedTuple):
    """What a binding is started with."""

    context: EngineContext
    model: ModelFile
    context_length: int


def start(loading: Loading) -> Binding:
    """Loads the model by the binding that was asked for, else by the first that is installed. Raises LaunchFailed."""
    name = _choose(loading.context.options.binding)
    module = import_module(f".{_MODULES[name]}", __package__)
    binding: Binding = module.start(loading)
    return binding


def _choose(wanted: str) -> str:
    there = [name for name in PACKAGES if find_spec(name)]
    if wanted == "auto" and there:
        return there[0]
    if wanted in there:
        return wanted
    named = PACKAGES.values() if wanted == "auto" else [PACKAGES[wanted]]
    raise LaunchFailed(f"{' or '.join(named)} is not installed here; install it beside the engine (pip install).")
