"""The handles by the names that programs written for Xinference import.

>>> from enginehouse.client.handlers import ChatModelHandle
"""

from .asynchronous import (
    AsyncAudioModelHandle,
    AsyncChatModelHandle,
    AsyncEmbeddingModelHandle,
    AsyncFlexibleModelHandle,
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
    FlexibleModelHandle,
    GenerateModelHandle,
    ImageModelHandle,
    ModelHandle,
    RerankModelHandle,
    VideoModelHandle,
)

RESTfulModelHandle = ModelHandle
RESTfulGenerateModelHandle = GenerateModelHandle
RESTfulChatModelHandle = ChatModelHandle
RESTfulEmbeddingModelHandle = EmbeddingModelHandle
RESTfulRerankModelHandle = RerankModelHandle
RESTfulImageModelHandle = ImageModelHandle
RESTfulVideoModelHandle = VideoModelHandle
RESTfulAudioModelHandle = AudioModelHandle
RESTfulFlexibleModelHandle = FlexibleModelHandle

AsyncRESTfulModelHandle = AsyncModelHandle
AsyncRESTfulGenerateModelHandle = AsyncGenerateModelHandle
AsyncRESTfulChatModelHandle = AsyncChatModelHandle
AsyncRESTfulEmbeddingModelHandle = AsyncEmbeddingModelHandle
AsyncRESTfulRerankModelHandle = AsyncRerankModelHandle
AsyncRESTfulImageModelHandle = AsyncImageModelHandle
AsyncRESTfulVideoModelHandle = AsyncVideoModelHandle
AsyncRESTfulAudioModelHandle = AsyncAudioModelHandle
AsyncRESTfulFlexibleModelHandle = AsyncFlexibleModelHandle

__all__ = [
    "AsyncAudioModelHandle",
    "AsyncChatModelHandle",
    "AsyncEmbeddingModelHandle",
    "AsyncFlexibleModelHandle",
    "AsyncGenerateModelHandle",
    "AsyncImageModelHandle",
    "AsyncModelHandle",
    "AsyncRESTfulAudioModelHandle",
    "AsyncRESTfulChatModelHandle",
    "AsyncRESTfulEmbeddingModelHandle",
    "AsyncRESTfulFlexibleModelHandle",
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
    "FlexibleModelHandle",
    "GenerateModelHandle",
    "ImageModelHandle",
    "ModelHandle",
    "RESTfulAudioModelHandle",
    "RESTfulChatModelHandle",
    "RESTfulEmbeddingModelHandle",
    "RESTfulFlexibleModelHandle",
    "RESTfulGenerateModelHandle",
    "RESTfulImageModelHandle",
    "RESTfulModelHandle",
    "RESTfulRerankModelHandle",
    "RESTfulVideoModelHandle",
    "RerankModelHandle",
    "VideoModelHandle",
]
