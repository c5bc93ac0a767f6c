"""How models that can be launched look on the wire: what was registered, and plugins' families in the same shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..host.registrations import Document
from ..sdk import ModelFamily, Variant
from ..sdk.credentials import hide_credentials, in_every_text

Json = dict[str, Any]
Here = Callable[[Variant], bool]

_HUBS = {"hf": "huggingface"}
_WITH_SPECS = ("LLM", "embedding", "rerank")


def describe_registration(family: ModelFamily, document: Document | None) -> Json:
    """Answer of `GET /v1/model_registrations/{type}/{name}`. Without the passwords of URLs: every key may read it."""
    if document is not None:
        return {**in_every_text(hide_credentials, document), "is_builtin": False}
    return {**_describe_family(family), "is_builtin": True}


def describe_in_detail(family: ModelFamily, document: Document | None, here: Here) -> Json:
    """Item of the detailed list: the registration, and for each of its variants whether it lies here."""
    described = describe_registration(family, document)
    specs = described.get("model_specs")
    if not isinstance(specs, list) or len(specs) != len(family.variants):
        specs = [_describe_variant(variant) for variant in family.variants]
    specs = [{**spec, "cache_status": here(variant)} for spec, variant in zip(specs, family.variants, strict=True)]
    return {**described, "model_specs": specs, "download_hubs": [], "cache_status": specs[0]["cache_status"]}


def _describe_family(family: ModelFamily) -> Json:
    """A plugin's family, in the shape of a registration of its type."""
    common = {"version": 2, "model_name": family.name, "model_description": family.description or None}
    if family.model_type not in _WITH_SPECS:
        first = _describe_variant(family.variants[0])
        weights = {key: first[key] for key in ("model_id", "model_hub", "model_uri", "model_revision")}
        return {**common, **weights, "model_ability": list(family.abilities), **family.facts}
    specs = [_describe_variant(variant) for variant in family.variants]
    if family.model_type != "LLM":
        return {**common, "language": list(family.languages), "model_specs": specs, **family.facts}
    return {
        **common,
        "context_length": family.context_length,
        "model_lang": list(family.languages),
        "model_ability": list(family.abilities),
        "model_family": family.name,
        "model_specs": specs,
        "chat_template": family.chat_template,
        "stop_token_ids": list(family.stop_token_ids),
        "stop": list(family.stop),
        "architectures": list(family.variants[0].architectures),
        "tool_parser": family.tool_parser,
        "reasoning_parser": family.reasoning_parser,
        **family.facts,
    }


def _describe_variant(variant: Variant) -> Json:
    uri = variant.sources[0] if variant.sources else ""
    place, _, files = uri.partition("#")
    scheme, _, reference = place.partition(":")
    on_hub = scheme in ("hf", "modelscope")
    name, _, revision = reference.partition("@")
    size = variant.size_in_billions
    return {
        "model_format": variant.format,
        "model_size_in_billions": int(size) if size.isdigit() else size,
        "quantization": variant.quantization,
        "model_hub": _HUBS.get(scheme, scheme),
        "model_id": name if on_hub else None,
        "model_revision": revision or None if on_hub else None,
        "model_uri": None if on_hub or not uri else uri,
        **({"model_file_name_template": files} if files else {}),
    }
