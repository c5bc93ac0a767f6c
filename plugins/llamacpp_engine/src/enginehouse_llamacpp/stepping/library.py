"""llama.cpp's functions with values of Python's: a model, a context for sequences, words and ids."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as ll

from enginehouse.sdk import EngineFailed, LaunchFailed

from ..binding import Loading
from ..files import companion, threads_for
from ..model_file import pooling_of
from ..options import LlamaCppOptions, Lora

ERROR_LEVEL = 4  # ggml's: an error. Below it is what a loading library tells about itself
TOLD_LINES = 2  # of llama.cpp's words in an error: the first says why, those after it what did not work therefore
PIECE_BYTES = 64  # of a token's text, but for a few
_FLASH = {"auto": "AUTO", "on": "ENABLED", "off": "DISABLED"}


class Log:
    """What llama.cpp says: its errors go to stderr, and the last ones are kept."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._callback = ll.llama_log_callback(self._take)
        ll.llama_log_set(self._callback, ctypes.c_void_p(0))

    def first(self) -> str:
        return " | ".join(dict.fromkeys(self.errors[:TOLD_LINES]))

    def _take(self, level: int, text: bytes, data: Any) -> None:
        if level == ERROR_LEVEL and len(self.errors) < TOLD_LINES:
            self.errors.append(text.decode(errors="replace").strip())
        if level == ERROR_LEVEL:
            sys.stderr.write(text.decode(errors="replace"))


LOG = Log()  # the library has one for the whole process, and calls it for as long as it lives


class Model:
    """A loaded file, and its vocabulary."""

    def __init__(self, loading: Loading) -> None:
        """Raises LaunchFailed with llama.cpp's own words."""
        context, options = loading.context, loading.context.options
        wanted = ll.llama_model_default_params()
        wanted.n_gpu_layers = 0 if context.device == "cpu" else options.n_gpu_layers
        wanted.main_gpu = options.main_gpu
        wanted.split_mode = getattr(ll, f"LLAMA_SPLIT_MODE_{options.split_mode.upper()}")
        wanted.load_mode = getattr(ll, f"LLAMA_LOAD_MODE_{_load_mode(options)}")
        LOG.errors.clear()
        self.pointer = ll.llama_model_load_from_file(str(context.model_path).encode(), wanted)
        if not self.pointer:
            raise LaunchFailed(
                f"llama.cpp could not load {context.model_path} ({loading.model.architecture}): "
                f"{LOG.first() or 'it gave no reason'}"
            )
        self.vocabulary = ll.llama_model_get_vocab(self.pointer)
        self.size: int = ll.llama_vocab_n_tokens(self.vocabulary)
        self.ends = frozenset(one for one in range(self.size) if ll.llama_vocab_is_eog(self.vocabulary, one))

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        raw = text.encode()
        room = len(raw) + 8  # no token is shorter than a byte, and few are put around
        ids = (ll.llama_token * room)()
        count = ll.llama_tokenize(self.vocabulary, raw, len(raw), ids, room, add_special, True)
        if count < 0:
            raise EngineFailed(f"llama.cpp needs {-count} tokens for a text of {len(raw)} bytes; report this.")
        return list(ids[:count])

    def detokenize(self, ids: Sequence[int]) -> str:
        given = (ll.llama_token * max(len(ids), 1))(*ids)
        room = PIECE_BYTES * (len(ids) + 1)
        for _ in range(2):  # again with as much as it says that it needs
            text = ctypes.create_string_buffer(room)
            count = ll.llama_detokenize(self.vocabulary, given, len(ids), text, room, False, True)
            if count >= 0:
                return text.raw[:count].decode(errors="replace")
            room = -count
        raise EngineFailed("llama.cpp cannot spell these tokens; see the worker's log.")

    def spell(self, token: int, *, special: bool) -> bytes:
        """A token's bytes, which need not be whole characters; none of a special one unless that is asked for."""
        room = PIECE_BYTES
        for _ in range(2):
            text = ctypes.create_string_buffer(room)
            count = ll.llama_token_to_piece(self.vocabulary, token, text, room, 0, special)
            if count >= 0:
                return text.raw[:count]
            room = -count
        return b""

    def close(self) -> None:
        pointer, self.pointer = self.pointer, None
        if pointer:
            ll.llama_model_free(pointer)


class Adapters:
    """The LoRA weights beside a model, and which of them a context computes with."""

    def __init__(self, model: Model, options: LlamaCppOptions) -> None:
        """Raises LaunchFailed."""
        self._loaded = {lora.lora_name: _load_adapter(model, lora) for lora in options.loras}
        self._current: str | None = None

    def use(self, context: Any, name: str | None) -> None:
        """One of them, or none, from the next step on."""
        if name == self._current:
            return
        given = [] if name is None else [self._loaded[name]]
        pointers = (ll.llama_adapter_lora_p_ctypes * 1)(*given)
        if ll.llama_set_adapters_lora(context, pointers, len(given), (ctypes.c_float * 1)(1.0)):
            raise EngineFailed(f"llama.cpp cannot use the LoRA {name!r}.")
        self._current = name


def _load_adapter(model: Model, lora: Lora) -> Any:
    file = companion(lora.local_path, f"the LoRA {lora.lora_name!r}")
    LOG.errors.clear()
    loaded = ll.llama_adapter_lora_init(model.pointer, str(file).encode())
    if not loaded:
        raise LaunchFailed(f"llama.cpp could not load {file} as an adapter: {LOG.first() or 'it gave no reason'}")
    return loaded


def _load_mode(options: LlamaCppOptions) -> str:
    if options.use_mlock:
        return "MMAP_MLOCK" if options.use_mmap else "MLOCK"
    return "MMAP" if options.use_mmap else "NONE"


def make_context(model: Model, loading: Loading, size: int, *, embeds: bool) -> Any:
    """A context for all sequences at once, each of at most `size` tokens. embeds: it makes vectors, not answers.

    Raises LaunchFailed.
    """
    context, options = loading.context, loading.context.options
    wanted = ll.llama_context_default_params()
    wanted.n_seq_max = options.n_parallel
    wanted.n_ctx = options.n_parallel * size
    wanted.n_batch, wanted.n_ubatch = max(options.n_batch, options.n_parallel), options.n_ubatch
    wanted.n_threads = wanted.n_threads_batch = threads_for(context)
    wanted.flash_attn_type = getattr(ll, f"LLAMA_FLASH_ATTN_TYPE_{_FLASH[options.flash_attn]}")
    wanted.type_k = getattr(ll, f"GGML_TYPE_{options.cache_type_k.upper()}")
    wanted.type_v = getattr(ll, f"GGML_TYPE_{options.cache_type_v.upper()}")
    wanted.embeddings = wanted.kv_unified = embeds
    wanted.no_perf = True
    if embeds:  # an input is computed in one go, or its vectors could not be joined
        wanted.n_batch = wanted.n_ubatch = max(options.n_ubatch, size)
        pooling = pooling_of(context, loading.model)
        if pooling is not None:
            wanted.pooling_type = getattr(ll, f"LLAMA_POOLING_TYPE_{pooling.upper()}")
    LOG.errors.clear()
    pointer = ll.llama_init_from_model(model.pointer, wanted)
    if not pointer:
        raise LaunchFailed(
            f"llama.cpp has no room for {options.n_parallel} sequences of {size} tokens with these options: "
            f"{LOG.first() or 'it gave no reason'}. Ask for less (n_ctx, n_parallel), or see the options of its cache."
        )
    return pointer


class Batch:
    """Tokens that go through the model together."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._batch = ll.llama_batch_init(size, 0, 1)

    def __len__(self) -> int:
        return int(self._batch.n_tokens)

    def clear(self) -> None:
        self._batch.n_tokens = 0

    def add(self, token: int, place: int, sequence: int, *, wanted: bool) -> int:
        """Adds a token at its place in a sequence. wanted: what comes behind it is. Gives its row."""
        batch, row = self._batch, int(self._batch.n_tokens)
        batch.token[row], batch.pos[row] = token, place
        batch.n_seq_id[row], batch.seq_id[row][0] = 1, sequence
        batch.logits[row] = wanted
        batch.n_tokens = row + 1
        return row

    def decode(self, context: Any) -> None:
        """Raises EngineFailed."""
        if code := ll.llama_decode(context, self._batch):
            raise EngineFailed(f"llama.cpp could not compute a step of {len(self)} tokens (code {code}).")

    def close(self) -> None:
        ll.llama_batch_free(self._batch)
