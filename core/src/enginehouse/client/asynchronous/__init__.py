"""The client for asyncio programs: the blocking client's methods as coroutines."""

from .client import AsyncClient
from .handles import (
    AsyncAudioModelHandle,
    AsyncChatModelHandle,
    AsyncEmbeddingModelHandle,
    AsyncGenerateModelHandle,
    AsyncImageModelHandle,
    AsyncModelHandle,
    AsyncRerankModelHandle,
    AsyncVideoModelHandle,
)
from .session import AsyncByteStream, AsyncEventStream

__all__ = [
    "AsyncAudioModelHandle",
    "AsyncByteStream",
    "AsyncChatModelHandle",
    "AsyncClient",
    "AsyncEmbeddingModelHandle",
    "AsyncEventStream",
    "AsyncGenerateModelHandle",
    "AsyncImageModelHandle",
    "AsyncModelHandle",
    "AsyncRerankModelHandle",
    "AsyncVideoModelHandle",
]
