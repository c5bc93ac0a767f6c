"""The handles by the names that programs written for Xinference import.

>>> from enginehouse.client.handlers import ChatModelHandle
"""

from typing import Any

from . import asynchronous, blocking
from .asynchronous import (
    AsyncAudioModelHandle,
    AsyncChatModelHandle,
    AsyncEmbeddingModelHandle,
    AsyncGenerateModelHandle,
    AsyncImageModelHandle,
    AsyncModelHandle,
    AsyncRerankModelHandle,
    AsyncVideoModelHandle,
)
from .blocking import (
    AudioModelHandle,
    ChatModelHandle,
    EmbeddingModelHandle,
    GenerateModelHandle,
    ImageModelHandle,
    ModelHandle,
    RerankModelHandle,
    VideoModelHandle,
)
from .contributed import named_by

RESTfulModelHandle = ModelHandle
RESTfulGenerateModelHandle = GenerateModelHandle
RESTfulChatModelHandle = ChatModelHandle
RESTfulEmbeddingModelHandle = EmbeddingModelHandle
RESTfulRerankModelHandle = RerankModelHandle
RESTfulImageModelHandle = ImageModelHandle
RESTfulVideoModelHandle = VideoModelHandle
RESTfulAudioModelHandle = AudioModelHandle

AsyncRESTfulModelHandle = AsyncModelHandle
AsyncRESTfulGenerateModelHandle = AsyncGenerateModelHandle
AsyncRESTfulChatModelHandle = AsyncChatModelHandle
AsyncRESTfulEmbeddingModelHandle = AsyncEmbeddingModelHandle
AsyncRESTfulRerankModelHandle = AsyncRerankModelHandle
AsyncRESTfulImageModelHandle = AsyncImageModelHandle
AsyncRESTfulVideoModelHandle = AsyncVideoModelHandle
AsyncRESTfulAudioModelHandle = AsyncAudioModelHandle

__all__ = [
    "AsyncAudioModelHandle",
    "AsyncChatModelHandle",
    "AsyncEmbeddingModelHandle",
    "AsyncGenerateModelHandle",
    "AsyncImageModelHandle",
    "AsyncModelHandle",
    "AsyncRESTfulAudioModelHandle",
    "AsyncRESTfulChatModelHandle",
    "AsyncRESTfulEmbeddingModelHandle",
    "AsyncRESTfulGenerateModelHandle",
    "AsyncRESTfulImageModelHandle",
    "AsyncRESTfulModelHandle",
    "AsyncRESTfulRerankModelHandle",
    "AsyncRESTfulVideoModelHandle",
    "AsyncRerankModelHandle",
    "AsyncVideoModelHandle",
    "AudioModelHandle",
    "ChatModelHandle",
    "EmbeddingModelHandle",
    "GenerateModelHandle",
    "ImageModelHandle",
    "ModelHandle",
    "RESTfulAudioModelHandle",
    "RESTfulChatModelHandle",
    "RESTfulEmbeddingModelHandle",
    "RESTfulGenerateModelHandle",
    "RESTfulImageModelHandle",
    "RESTfulModelHandle",
    "RESTfulRerankModelHandle",
    "RESTfulVideoModelHandle",
    "RerankModelHandle",
    "VideoModelHandle",
]


def contributed_handle(name: str) -> Any:
    """Handles that plugins bring, by both their names: `FlexibleModelHandle`, `RESTfulFlexibleModelHandle`."""
    named = named_by(name)
    try:
        if named is None:
            raise KeyError(name)
        is_asynchronous, model_type = named
        face = asynchronous.handles if is_asynchronous else blocking.handles
        return face.handle_class(model_type)
    except KeyError:
        raise AttributeError(f"The client has no {name!r}; is the plugin that brings it installed?") from None


__getattr__ = contributed_handle
