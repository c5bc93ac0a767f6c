"""Running models as objects, for asyncio programs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..call import Call, Json
from ..calls import pictures, sounds, texts
from ..connection import dress
from ..contributed import calls_of, contributed_handles, name_of
from .session import AsyncByteStream, AsyncEventStream, AsyncSession

P = ParamSpec("P")
T = TypeVar("T")


class AsyncModelHandle:
    """A running model. Its connections belong to its client."""

    def __init__(self, model_uid: str, session: AsyncSession) -> None:
        self.model_uid = model_uid
        self._session = session

    async def close(self) -> None:
        """Nothing to give back; here because programs written for Xinference call it."""


def _answered(
    make: Callable[Concatenate[str, P], Call[T]],
) -> Callable[Concatenate[AsyncModelHandle, P], Coroutine[Any, Any, T]]:
    async def method(self: AsyncModelHandle, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._session.send(make(self.model_uid, *args, **kwargs))

    dress(method, make, bound=1)
    return method


def _written(
    make: Callable[Concatenate[str, P], Call[Json]],
) -> Callable[Concatenate[AsyncModelHandle, P], Coroutine[Any, Any, Json | AsyncEventStream]]:
    async def method(self: AsyncModelHandle, /, *args: P.args, **kwargs: P.kwargs) -> Json | AsyncEventStream:
        return await self._session.infer(make(self.model_uid, *args, **kwargs))

    dress(method, make, bound=1)
    return method


def _spoken(
    make: Callable[Concatenate[str, P], Call[bytes]],
) -> Callable[Concatenate[AsyncModelHandle, P], Coroutine[Any, Any, bytes | AsyncByteStream]]:
    async def method(self: AsyncModelHandle, /, *args: P.args, **kwargs: P.kwargs) -> bytes | AsyncByteStream:
        return await self._session.speak(make(self.model_uid, *args, **kwargs))

    dress(method, make, bound=1)
    return method


class AsyncGenerateModelHandle(AsyncModelHandle):
    """A running model that continues texts."""

    generate = _written(texts.generate)


class AsyncChatModelHandle(AsyncGenerateModelHandle):
    """A running model that chats (and continues texts)."""

    chat = _written(texts.chat)


class AsyncEmbeddingModelHandle(AsyncModelHandle):
    """A running model that turns texts into vectors."""

    create_embedding = _answered(texts.create_embedding)
    convert_ids_to_tokens = _answered(texts.convert_ids_to_tokens)


class AsyncRerankModelHandle(AsyncModelHandle):
    """A running model that orders documents."""

    rerank = _answered(texts.rerank)


class AsyncImageModelHandle(AsyncModelHandle):
    """A running model that makes, changes or reads images."""

    text_to_image = _answered(pictures.text_to_image)
    image_to_image = _answered(pictures.image_to_image)
    image_edit = _answered(pictures.image_edit)
    inpainting = _answered(pictures.inpainting)
    ocr = _answered(pictures.ocr)


class AsyncVideoModelHandle(AsyncModelHandle):
    """A running model that makes videos."""

    text_to_video = _answered(pictures.text_to_video)
    image_to_video = _answered(pictures.image_to_video)
    flf_to_video = _answered(pictures.flf_to_video)


class AsyncAudioModelHandle(AsyncModelHandle):
    """A running model that hears or speaks."""

    create_embedding = _answered(sounds.create_embedding)
    transcriptions = _answered(sounds.transcriptions)
    translations = _answered(sounds.translations)
    speech = _spoken(sounds.speech)


HANDLES: dict[str, type[AsyncModelHandle]] = {
    "chat": AsyncChatModelHandle,
    "generate": AsyncGenerateModelHandle,
    "embedding": AsyncEmbeddingModelHandle,
    "rerank": AsyncRerankModelHandle,
    "image": AsyncImageModelHandle,
    "video": AsyncVideoModelHandle,
    "audio": AsyncAudioModelHandle,
}


@cache
def handle_class(model_type: str) -> type[AsyncModelHandle]:
    """The handles of a model type: our own, or those that a plugin brings. Raises KeyError without either."""
    if model_type in HANDLES:
        return HANDLES[model_type]
    calls = contributed_handles()[model_type].load()
    methods = {name: _written(make) for name, make in calls_of(calls).items()}
    return type(name_of(model_type, "Async"), (AsyncModelHandle,), {"__doc__": calls.__doc__, **methods})
