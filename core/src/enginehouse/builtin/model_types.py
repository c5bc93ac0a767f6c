"""The built-in model types: what models of each can be asked, claim, report, and how users register them.

A type without tasks here is known, so that models of it can be registered; running one needs a plugin whose
engine serves the type.
"""

from __future__ import annotations

from ..sdk.model_types import ModelType
from .registrations import (
    AudioRegistration,
    EmbeddingRegistration,
    ImageRegistration,
    LLMRegistration,
    RerankRegistration,
    VideoRegistration,
)

LLM = ModelType(
    name="LLM",
    tasks=("chat", "generate"),
    abilities=("chat", "generate", "tools", "reasoning", "hybrid", "vision", "audio", "omni", "embed"),
    reports=(
        "model_name",
        "model_lang",
        "model_ability",
        "model_description",
        "model_format",
        "model_size_in_billions",
        "model_family",
        "quantization",
        "model_hub",
        "revision",
        "context_length",
    ),
    registration=LLMRegistration,
)
EMBEDDING = ModelType(
    name="embedding",
    tasks=("embed",),
    abilities=("embed",),
    reports=(
        "model_name",
        "model_format",
        "dimensions",
        "max_tokens",
        "language",
        "model_hub",
        "model_revision",
        "quantization",
    ),
    registration=EmbeddingRegistration,
)
RERANK = ModelType(
    name="rerank",
    tasks=("rerank",),
    abilities=("rerank",),
    reports=("type", "model_name", "model_format", "language", "model_revision", "quantization"),
    registration=RerankRegistration,
)
IMAGE = ModelType(
    name="image",
    tasks=(),
    abilities=("text2image", "image2image", "inpainting", "ocr"),
    reports=("model_name", "model_family", "model_revision", "model_ability", "controlnet"),
    registration=ImageRegistration,
)
AUDIO = ModelType(
    name="audio",
    tasks=(),
    abilities=("audio2text", "text2audio"),
    reports=("model_name", "model_family", "model_revision", "model_ability"),
    registration=AudioRegistration,
)
VIDEO = ModelType(
    name="video",
    tasks=(),
    abilities=("text2video", "image2video", "firstlastframe2video"),
    reports=("model_name", "model_family", "model_revision", "model_ability"),
    registration=VideoRegistration,
    names_engines=False,  # clients of this API are told nothing about this type
)
MODEL_TYPES = (LLM, EMBEDDING, RERANK, IMAGE, AUDIO, VIDEO)
