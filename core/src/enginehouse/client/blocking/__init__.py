"""The client for ordinary programs: each call returns when its answer is there."""

from .client import Client
from .handles import (
    AudioModelHandle,
    ChatModelHandle,
    EmbeddingModelHandle,
    GenerateModelHandle,
    ImageModelHandle,
    ModelHandle,
    RerankModelHandle,
    VideoModelHandle,
)
from .session import ByteStream, EventStream

__all__ = [
    "AudioModelHandle",
    "ByteStream",
    "ChatModelHandle",
    "Client",
    "EmbeddingModelHandle",
    "EventStream",
    "GenerateModelHandle",
    "ImageModelHandle",
    "ModelHandle",
    "RerankModelHandle",
    "VideoModelHandle",
]
