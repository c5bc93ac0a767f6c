"""A caller's inputs, checked and made into sequences for an embedding model."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image

from enginehouse.sdk import BadRequest, ContextLengthExceeded, EmbedRequest, NotSupported, TooLarge
from enginehouse.sdk.embeddings import EmbedInput

from .words import Tokens, Words

RAW_CHARACTERS = 4  # of a text that its own processor reads, counted as a token until that has read it
IMAGE_TOKENS = 256  # what an image counts for in a batch
IMAGE_BYTES = 20 * 2**20
IMAGE_PIXELS = 64_000_000


class Reading(NamedTuple):
    """How an embedding model reads. words: None where only its own processor can.

    limit: tokens of one input, None for no limit. leaves_prompt_out: of its pooling. modalities: beside text.
    """

    words: Words | None
    limit: int | None
    prompts: dict[str, str]
    default_prompt: str
    leaves_prompt_out: bool
    modalities: tuple[str, ...]
    truncates: bool


class Asked(NamedTuple):
    """What holds for all inputs of one request. refuses: inputs longer than `limit`."""

    prompt: str
    limit: int | None
    refuses: bool


def asked_of(reading: Reading, request: EmbedRequest) -> Asked:
    """Raises BadRequest for a prompt that the model does not have."""
    truncates = reading.truncates if request.truncate is None else request.truncate
    limit, wished = reading.limit, request.max_tokens
    if wished is not None and (limit is None or wished < limit):
        limit, truncates = wished, True  # it is asked for in so many words
    return Asked(_prompt(reading, request), limit, not truncates)


def sequences_of(reading: Reading, asked: Asked, inputs: Sequence[EmbedInput], first: int) -> list[Tokens]:
    """One for each input. first: the number of `inputs[0]` in its request, for what errors say."""
    plain = [_plain(reading, one, first + place) for place, one in enumerate(inputs)]
    if reading.words is None:
        return [_raw(one, asked.prompt) for one in plain]
    words = reading.words
    texts = [asked.prompt + one for one in plain if isinstance(one, str)]
    encoded = iter(words.encode(texts, asked.limit) if texts else ())
    prompt = words.encode([asked.prompt])[0] if asked.prompt else []
    left_out = len(words.single.before) + len(prompt) if prompt and reading.leaves_prompt_out else 0
    made = []
    for place, one in enumerate(plain):
        if not isinstance(one, str | list):
            made.append(_raw(one, asked.prompt))
            continue
        ids = next(encoded) if isinstance(one, str) else [*prompt, *one] if prompt else one
        tokens = words.frame(ids, asked.limit)
        if tokens.cut and asked.refuses:
            raise _too_long(first + place, asked.limit)
        made.append(tokens._replace(prompt=left_out) if left_out else tokens)
    return made


def _too_long(number: int, limit: int | None) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"input[{number}] is longer than the {limit} tokens that are read of one; shorten it, or send truncate=true.",
        param=f"input[{number}]",
    )


def _prompt(reading: Reading, request: EmbedRequest) -> str:
    if request.prompt is not None:
        return request.prompt
    if request.prompt_name is None:
        return reading.default_prompt
    if request.prompt_name not in reading.prompts:
        known = ", ".join(sorted(reading.prompts)) or "none"
        raise BadRequest(
            f"This model has no prompt named {request.prompt_name!r}; it has: {known}. `prompt` takes the text itself.",
            param="prompt_name",
        )
    return reading.prompts[request.prompt_name]


def _plain(reading: Reading, one: EmbedInput, number: int) -> Any:
    """A text, token ids, or parts with their image opened."""
    if isinstance(one, str):
        return one
    if isinstance(one, list):
        return _ids(reading, one, number)
    unknown = sorted(set(one) - {"text", "image"})
    if unknown or not one:
        raise BadRequest(
            f"input[{number}] has {', '.join(unknown) or 'nothing'}; an object may have `text` and `image`.",
            param=f"input[{number}]",
        )
    if "image" not in one:
        return one["text"]
    if "image" not in reading.modalities:
        raise NotSupported(f"input[{number}] is an image, but this model reads text only.", param=f"input[{number}]")
    image = open_image(one["image"], f"input[{number}].image")
    return {"text": one["text"], "image": image} if "text" in one else image


def _ids(reading: Reading, ids: list[int], number: int) -> list[int]:
    if reading.words is None:
        raise NotSupported("This model does not take token ids; send texts.", param=f"input[{number}]")
    most = max(ids, default=0)
    if most >= reading.words.vocabulary or min(ids, default=0) < 0:
        raise BadRequest(
            f"input[{number}] holds the token id {most}, but this model has ids from 0 to "
            f"{reading.words.vocabulary - 1}. Use its own tokenizer (POST /v1/tokenize), or send texts; LangChain's "
            "OpenAIEmbeddings does with check_embedding_ctx_length=False.",
            param=f"input[{number}]",
        )
    return ids


def _raw(one: Any, prompt: str) -> Tokens:
    if isinstance(one, str):
        return Tokens((), raw=prompt + one, cost=1 + len(one) // RAW_CHARACTERS)
    return Tokens((), raw=one, cost=IMAGE_TOKENS)


def open_image(url: str, place: str) -> Image.Image:
    """The image in a `data:` URL, or in plain base64. Raises BadRequest, TooLarge."""
    if "://" in url[:32]:
        raise NotSupported(f"{place} is a link, and nothing is fetched from elsewhere; send a data: URL.", param=place)
    data = url.partition(",")[2] if url.startswith("data:") else url
    if len(data) > IMAGE_BYTES * 4 // 3:
        raise TooLarge(f"{place} is larger than {IMAGE_BYTES // 2**20} MiB; send a smaller image.", param=place)
    try:
        image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        if image.width * image.height > IMAGE_PIXELS:
            raise TooLarge(f"{place} has {image.width} x {image.height} pixels; send a smaller image.", param=place)
        return image.convert("RGB")
    except (OSError, ValueError, binascii.Error, Image.DecompressionBombError) as error:
        raise BadRequest(f"{place} is no image that can be read: {error}.", param=place) from error
