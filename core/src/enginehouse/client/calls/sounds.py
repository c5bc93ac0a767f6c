"""Calls of models that hear and speak. Each function is a method of a handle."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..call import UNBOUNDED, Call, File, Json, Part, as_is, as_object, fields, upload


def create_embedding(model_uid: str, /, audio: File) -> Call[Json]:
    """The vector of a voice: {"embedding", "dimensions", ...}."""
    return _send("embed the voice", "/v1/audio/embeddings", {"model": model_uid}, audio)


def transcriptions(
    model_uid: str,
    /,
    audio: File,
    language: str | None = None,
    prompt: str | None = None,
    response_format: str | None = "json",
    temperature: float | None = 0,
    timestamp_granularities: list[str] | None = None,
    **kwargs: Any,
) -> Call[Json]:
    """What is said, in its own language: {"text"}, and with response_format verbose_json when it is said.

    audio: of any usual format. timestamp_granularities: segment, word. kwargs are options of the model.
    """
    form = _hearing(model_uid, language, prompt, response_format, temperature, timestamp_granularities)
    return _send("transcribe the audio", "/v1/audio/transcriptions", {**form, "kwargs": json.dumps(kwargs)}, audio)


def translations(
    model_uid: str,
    /,
    audio: File,
    language: str | None = None,
    prompt: str | None = None,
    response_format: str | None = "json",
    temperature: float | None = 0,
    timestamp_granularities: list[str] | None = None,
) -> Call[Json]:
    """What is said, in English. Parameters as those of `transcriptions`."""
    form = _hearing(model_uid, language, prompt, response_format, temperature, timestamp_granularities)
    return _send("translate the audio", "/v1/audio/translations", form, audio)


def speech(
    model_uid: str,
    /,
    input: str,
    voice: str | None = "",
    response_format: str = "mp3",
    speed: float = 1.0,
    stream: bool = False,
    prompt_speech: File | None = None,
    prompt_latent: File | None = None,
    **kwargs: Any,
) -> Call[bytes]:
    """A text, spoken: the bytes of a sound file, or with `stream` its pieces as they come.

    prompt_speech: a voice to speak with. kwargs are options of the model.
    """
    body: Json = {
        "model": model_uid,
        "input": input,
        "voice": voice,
        "response_format": response_format,
        "speed": speed,
        "stream": stream,
        "kwargs": json.dumps(kwargs),
    }
    prompts = {"prompt_speech": prompt_speech, "prompt_latent": prompt_latent}
    files = tuple(upload(name, file, name) for name, file in prompts.items() if file)
    return Call(
        action="speak the text",
        method="POST",
        path="/v1/audio/speech",
        body=None if files else body,
        parts=(*fields(body), *files) if files else (),
        read_seconds=UNBOUNDED,
        decode=as_is,
        raw=True,
        streams=stream,
    )


def _hearing(
    model_uid: str,
    language: str | None,
    prompt: str | None,
    response_format: str | None,
    temperature: float | None,
    granularities: Iterable[str] | None,
) -> Json:
    return {
        "model": model_uid,
        "language": language,
        "prompt": prompt,
        "response_format": response_format,
        "temperature": temperature,
        "timestamp_granularities[]": None if granularities is None else list(granularities),
    }


def _send(action: str, path: str, form: Json, audio: File) -> Call[Json]:
    parts: tuple[Part, ...] = (*fields(form), upload("file", audio, "file"))
    return Call(action=action, method="POST", path=path, parts=parts, read_seconds=UNBOUNDED, decode=as_object)
