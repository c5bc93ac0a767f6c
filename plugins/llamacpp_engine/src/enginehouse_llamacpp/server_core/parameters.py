"""From launch options to the parameters of llama.cpp's server."""

from __future__ import annotations

from typing import Any

import xllamacpp  # type: ignore[import-untyped]

from enginehouse.sdk import BadRequest, EngineContext

from ..binding import Loading
from ..files import companion, projector_of, threads_for
from ..model_file import ModelFile, pooling_of
from ..options import LlamaCppOptions

CONTEXT_STEP = 256  # llama.cpp rounds a sequence's cache to multiples of this
SPARE_THREADS = 6  # of the library's HTTP server, beside one for each sequence: for calls that wait, and for tokens
ERRORS_ONLY = 1  # llama.cpp's verbosity: what goes wrong is printed, nothing else
_FLASH = {
    "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
_SPLITS = {
    "none": xllamacpp.llama_split_mode.LLAMA_SPLIT_MODE_NONE,
    "layer": xllamacpp.llama_split_mode.LLAMA_SPLIT_MODE_LAYER,
    "row": xllamacpp.llama_split_mode.LLAMA_SPLIT_MODE_ROW,
}
_COPIED = ("n_parallel", "main_gpu", "n_batch", "n_ubatch", "cache_ram_mib")


def parameters_of(loading: Loading, key: str) -> Any:
    """The parameters of a server. key: what its own HTTP port asks for. Raises BadRequest for a wrong `extra`."""
    context = loading.context
    options: LlamaCppOptions = context.options
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(context.model_path)
    parameters.n_ctx = options.n_parallel * -(-(loading.context_length + 1) // CONTEXT_STEP) * CONTEXT_STEP
    for name in _COPIED:
        setattr(parameters, name, getattr(options, name))
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads_for(context)
    parameters.n_gpu_layers = 0 if context.device == "cpu" else options.n_gpu_layers
    parameters.split_mode = _SPLITS[options.split_mode]
    parameters.flash_attn_type = _FLASH[options.flash_attn]
    parameters.cache_type_k, parameters.cache_type_v = map(_number_type, (options.cache_type_k, options.cache_type_v))
    _set_memory(parameters, options)
    _set_vectors(parameters, context, loading.model)
    _set_companions(parameters, context, loading.model)
    _close_doors(parameters, key)
    _set_extra(parameters, options.extra)
    return parameters


def _number_type(name: str) -> Any:
    return getattr(xllamacpp.ggml_type, f"GGML_TYPE_{name.upper()}")


def _set_memory(parameters: Any, options: LlamaCppOptions) -> None:
    """The planner has weighed the model already, so the library's own fitting is off: what was asked for is made."""
    parameters.fit_params = False
    modes = xllamacpp.llama_load_mode
    if options.use_mlock:
        parameters.load_mode = modes.LLAMA_LOAD_MODE_MLOCK
    elif not options.use_mmap:
        parameters.load_mode = modes.LLAMA_LOAD_MODE_NONE


def _set_vectors(parameters: Any, context: EngineContext, model: ModelFile) -> None:
    """An input that becomes a vector is computed in one go, whatever its length.

    With a cache for each sequence llama.cpp would cut inputs of different lengths into pieces of one length, and
    pool only the last piece of each.
    """
    if not {"embed", "rerank"} & set(context.tasks):
        return
    pooling = pooling_of(context, model)
    if pooling is not None:
        parameters.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{pooling.upper()}")
    parameters.embedding = True
    parameters.kv_unified = True
    parameters.n_batch = parameters.n_ubatch = max(parameters.n_ubatch, parameters.n_ctx // parameters.n_parallel)


def _set_companions(parameters: Any, context: EngineContext, model: ModelFile) -> None:
    """Files beside the model's. Adapters are off until a request asks for one."""
    options: LlamaCppOptions = context.options
    parameters.lora_adapters = [
        xllamacpp.CommonAdapterLoraInfo(str(companion(lora.local_path, f"the LoRA {lora.lora_name!r}")), 0.0)
        for lora in options.loras
    ]
    if projector := projector_of(context, model.hidden_size):
        parameters.mmproj.path = str(projector)
        parameters.mmproj_use_gpu = context.device != "cpu"
    if options.model_draft:
        parameters.speculative.draft.mparams.path = str(companion(options.model_draft, "the draft model"))
        parameters.speculative.draft.n_max = options.draft_max
        parameters.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]


def _close_doors(parameters: Any, key: str) -> None:
    """The library opens an HTTP server on a port of loopback that nobody needs but we: it asks for a key."""
    parameters.api_keys = [key]
    parameters.hostnames = ["127.0.0.1"]
    parameters.endpoint_slots = parameters.endpoint_props = parameters.endpoint_metrics = False
    parameters.ui = False
    parameters.n_threads_http = parameters.n_parallel + SPARE_THREADS
    parameters.use_jinja = False  # templates are rendered by us, for the same prompt on every engine
    parameters.verbosity = ERRORS_ONLY


def _set_extra(parameters: Any, extra: dict[str, Any]) -> None:
    for name, value in extra.items():
        if name.startswith("_") or not hasattr(parameters, name):
            raise BadRequest(f"llama.cpp has no parameter {name!r}; look at `extra`.", param="extra")
        try:
            setattr(parameters, name, value)
        except (AttributeError, TypeError, ValueError) as error:
            raise BadRequest(f"llama.cpp's parameter {name} cannot be {value!r}: {error}", param="extra") from error
