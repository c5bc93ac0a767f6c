"""Model families: which models exist, as data. A family never names an engine."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .errors import BadRequest, InvalidSpec


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One set of weights of a family.

    format: file format as on the wire ("pytorch", "ggufv2", "mlx", ...).
    size_in_billions: parameters in billions, in the wire's spelling ("0_5" is a half, "7" is seven).
    quantization: "none" or the format's own word ("Q4_K_M", "Int4", ...).
    sources: URIs in order of preference, `scheme:reference`, each scheme being a source plugin's.
    architectures: class names as in the model's config.json; empty when unknown.
    weight_bytes: total size of the weight files, when known.
    files: names of the files that make it up, where a repository holds other variants too; empty for all.
    projector: name of the file that turns images or sound into input, for formats that keep it apart.
    """

    format: str
    size_in_billions: str
    sources: tuple[str, ...]
    quantization: str = "none"
    architectures: tuple[str, ...] = ()
    weight_bytes: int | None = None
    files: tuple[str, ...] = ()
    projector: str | None = None


class VirtualEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's environment shall carry beside its engine, and where packages come from.

    packages: PEP 508 strings, which may hold the placeholders and markers of `docs/how-to/environments.md`.
    overrides: PEP 508, taken instead of whatever any package says of that name; exclusions: names never installed.
    inherit_pip_config: what is not said here is as pip's configuration has it. index_strategy: uv's word.
    """

    packages: list[str] = []
    overrides: list[str] = []
    exclusions: list[str] = []
    inherit_pip_config: bool = True
    index_url: str | None = None
    extra_index_url: str | list[str] | None = None
    find_links: str | list[str] | None = None
    trusted_host: str | list[str] | None = None
    index_strategy: Literal["first-index", "unsafe-first-match", "unsafe-best-match"] | None = None
    no_build_isolation: bool | None = None


class ModelFamily(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its users name it, with all its variants.

    context_length: tokens.
    chat_template: a Jinja template that replaces the tokenizer's; None keeps the tokenizer's.
    tool_parser, reasoning_parser: names of parsers (see `enginehouse.sdk.parsers`); None without such a part.
    virtualenv: what its environment shall carry; None when its engine says all.
    facts: more that its model type reports (dimensions, max_tokens, ...), by the wire's names. The engine gets them.
    launcher: name or dotted path of what builds it, for model types whose models are built.
    """

    name: str
    model_type: str
    variants: tuple[Variant, ...]
    abilities: tuple[str, ...]
    context_length: int | None = None
    languages: tuple[str, ...] = ()
    description: str = ""
    licence: str = ""
    chat_template: str | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    virtualenv: VirtualEnvironment | None = None
    facts: dict[str, Any] = {}
    launcher: str | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.variants:
            raise InvalidSpec(f"Family {self.name!r} needs a name and at least one variant.")


def size_in_billions(value: object) -> float:
    """Parameters in billions from any spelling of the wire: "0_5", "0.5", 7, 7.0, "7".

    Raises BadRequest when it is no positive number.
    """
    try:
        size = float(str(value).replace("_", "."))
    except ValueError:
        size = -1.0
    if not 0 < size < float("inf") or isinstance(value, bool):
        raise BadRequest(
            f"model_size_in_billions is {value!r}; give a positive number such as 7, 0.5 or '0_5'.",
            param="model_size_in_billions",
        )
    return size
