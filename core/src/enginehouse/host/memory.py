"""How much memory a model will take, before it is loaded. Reads headers and config.json; the rest is pure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import (
    BadRequest,
    EnginehouseError,
    EngineSpec,
    InvalidSpec,
    MemoryFacts,
    ModelFamily,
    Variant,
    size_in_billions,
)
from ..sdk.gguf import read_gguf
from .gguf_models import model_files
from .model_config import ModelShape, shape_of, shape_of_gguf
from .targets import resolve
from .weight_headers import weight_bytes

RUNNER_BYTES = 20 * 2**20  # an interpreter with the runner and no engine in it: 19 MiB, decision 0070
CONTEXT_OPTIONS = ("max_context", "max_model_len", "n_ctx", "context_length", "max_seq_len")
ON_MACHINE = frozenset({"libraries"})  # components that never lie in an accelerator's memory
CACHE_WIDTH = 2  # bytes of a number in the cache, for engines that say nothing: half precision
_BITS = re.compile(r"(?<![\d.])(16|8|6|5|4|3|2|1)(?!\d)")
_GROUPS = 0.5  # bits a parameter, for the scales and zero points of quantized groups


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model's weights. basis: how, in words. shape: empty when config.json is not here."""

    weights: dict[str, int]
    basis: str
    shape: ModelShape = ModelShape()


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one replica by component. unknown: components that nobody could estimate. basis: of the weights.

    context_length: tokens that it holds for; None when unknown.
    """

    components: dict[str, int]
    basis: str
    context_length: int | None = None
    unknown: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.components.values())

    @property
    def on_device(self) -> int:
        """What lies in an accelerator's memory, when there is one."""
        return sum(size for name, size in self.components.items() if name not in ON_MACHINE)


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where a replica will run: "cpu", "cuda", ..., and the bytes that are free there (None: nobody knows)."""

    device: str = "cpu"
    free_bytes: int | None = None


def look_at_weights(variant: Variant, place: Path | None) -> Holdings:
    """What the files at `place` say; without files what the variant says. Never raises: it is but an estimate."""
    try:
        found = _with_projector(weight_bytes(place), variant, place) if place else {}
    except (InvalidSpec, OSError):
        found = {}
    shape = read_shape(place) if place else ModelShape()
    if found:
        return Holdings(weights=found, basis="the files themselves", shape=shape)
    if variant.weight_bytes:
        return Holdings(weights={"": variant.weight_bytes}, basis="the size that the family gives", shape=shape)
    try:
        size = parameter_bytes(variant.size_in_billions, variant.quantization)
    except BadRequest:  # "0", of registrations whose type knows no sizes
        return Holdings(weights={}, basis="nothing: no file is here, and no size is known", shape=shape)
    return Holdings(weights={"": size}, basis="parameters times bits", shape=shape)


def _with_projector(found: dict[str, int], variant: Variant, place: Path) -> dict[str, int]:
    """What is loaded beside a model in one file; a folder's files are all counted already. Raises OSError."""
    if not variant.projector or not place.is_file():
        return found
    return {**found, "": found.get("", 0) + (place.parent / variant.projector).stat().st_size}


def read_shape(place: Path) -> ModelShape:
    """The model's shape: from config.json, else from a GGUF file's own header. Empty when neither says."""
    config = read_config(place)
    if config:
        return shape_of(config)
    files = [place] if place.suffix == ".gguf" else model_files(place)
    try:
        return shape_of_gguf(read_gguf(files[0]).metadata) if files else ModelShape()
    except BadRequest:
        return ModelShape()


def read_config(place: Path) -> dict[str, Any]:
    """The config.json beside the weights; empty when there is none that can be read."""
    file = (place if place.is_dir() else place.parent) / "config.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return {}


def parameter_bytes(size: str | float, quantization: str) -> int:
    """Parameters times bits, for weights that nobody has seen: 16 bits unless the quantization names fewer.

    Below 16 half a bit is added for scales. Raises BadRequest for a size that is no number.
    """
    named = _BITS.search(quantization)
    bits = float(named.group(1)) if named else 16.0
    return int(size_in_billions(size) * 1e9 * (bits + (_GROUPS if bits < 16 else 0)) / 8)


def estimate(engine: EngineSpec, options: dict[str, Any], family: ModelFamily, held: Holdings, site: Site) -> Estimate:
    """What one replica will take on `site` with the engine's `options` (checked ones)."""
    facts = MemoryFacts(
        weights=held.weights,
        context_length=context_asked(options, family, held.shape),
        cache_numbers=held.shape.cache_numbers,
        hidden_size=held.shape.hidden_size,
        vocabulary=held.shape.vocabulary,
        device=site.device,
        free_bytes=site.free_bytes,
    )
    components = _ask(engine, options, facts)
    unknown = () if "kv_cache" in components else ("kv_cache",)
    return Estimate(components=components, basis=held.basis, context_length=facts.context_length, unknown=unknown)


def context_option(engine: EngineSpec) -> str | None:
    """The name of the engine's option for the context's length; None when it has none."""
    return next((name for name in CONTEXT_OPTIONS if name in engine.options.__struct_fields__), None)


def context_asked(options: dict[str, Any], family: ModelFamily, shape: ModelShape) -> int | None:
    """Tokens: the least of what was asked for, what the family says, and what the model was made for."""
    asked = (options.get(name) for name in CONTEXT_OPTIONS)
    limits = (next(filter(None, asked), None), family.context_length, shape.context_length)
    return min((int(limit) for limit in limits if limit), default=None)


def _ask(engine: EngineSpec, options: dict[str, Any], facts: MemoryFacts) -> dict[str, int]:
    """The engine's own estimate; the rough rule where it has none, or one that breaks."""
    if engine.memory:
        try:
            answer = resolve(engine.memory)(facts, msgspec.convert(options, engine.options))
            return {str(name): int(size) for name, size in answer.items()}
        except EnginehouseError:
            pass
        except Exception:  # noqa: BLE001  # a plugin's function: a launch does not fail for a broken estimate
            pass
    return _rough(facts)


def _rough(facts: MemoryFacts) -> dict[str, int]:
    """Weights as they lie in the files, one sequence of the whole context, and a bare runner."""
    rough = {"weights": facts.weight_bytes, "libraries": RUNNER_BYTES}
    if facts.cache_numbers and facts.context_length:
        rough["kv_cache"] = facts.cache_numbers * facts.context_length * CACHE_WIDTH
    return rough
