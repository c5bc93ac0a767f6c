"""Fields of requests that only vLLM knows: passed on to it as they came."""

from __future__ import annotations

from typing import Any

import msgspec


class OwnFields(msgspec.Struct, omit_defaults=True):
    """Sampling and scheduling beyond what every engine has; vLLM checks the values."""

    min_tokens: Any = None
    bad_words: Any = None
    allowed_token_ids: Any = None
    thinking_token_budget: Any = None
    repetition_detection: Any = None
    truncate_prompt_tokens: Any = None
    priority: Any = None
    cache_salt: Any = None
    mm_processor_kwargs: Any = None
    media_io_kwargs: Any = None
    vllm_xargs: Any = None


_WORDS = tuple(name.encode() for name in OwnFields.__struct_fields__)
_decoder = msgspec.json.Decoder(OwnFields)


def own_fields(body: bytes) -> dict[str, Any]:
    """Those in a body. A body that cannot be read has none: the runner says what is wrong with it."""
    if not any(word in body for word in _WORDS):
        return {}
    try:
        found: dict[str, Any] = msgspec.to_builtins(_decoder.decode(body))
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return {}
    return found
