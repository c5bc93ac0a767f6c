"""The contract between Enginehouse and its plugins: everything a plugin may import.

Needs the standard library, msgspec and pluggy, nothing else.
"""

from .chat import ChatChunk, ChatCompletion, ChatRequest, Message, Tool, Usage
from .completions import Completion, CompletionRequest
from .constraints import Constraint, ConstraintKind
from .embeddings import EmbeddingAnswer, EmbeddingRequest, EmbedRequest, Vectors
from .engines import (
    Constraining,
    EmbeddingEngine,
    Engine,
    EngineContext,
    EngineSpec,
    Options,
    RerankEngine,
    TextEngine,
    Tokenizing,
)
from .errors import (
    BadRequest,
    Cancelled,
    CannotRun,
    Conflict,
    ContextLengthExceeded,
    EngineFailed,
    EnginehouseError,
    InvalidSpec,
    LaunchFailed,
    ModelNotFound,
    NotAllowed,
    NotReady,
    NotSupported,
    Overloaded,
    TooLarge,
    UnknownOption,
    WorkerLost,
)
from .families import ModelFamily, Variant, size_in_billions
from .generation import GenerateRequest, Piece, Sampling, TokenLogprob
from .hooks import hookimpl, hookspec
from .memory import EstimateMemory, MemoryFacts
from .model_types import ModelType
from .parsers import Parser, ParserSpec, ReasoningPart, TextPart, ToolCallPart
from .provisioners import Environment, EnvironmentNeed, Provision, ProvisionerSpec
from .registrations import Problem, Registration, Weights
from .reranking import RerankAnswer, RerankRequest, ScoreRequest, Scores
from .sources import (
    Fetch,
    FetchProgress,
    HubReference,
    Manifest,
    SourceSpec,
    parse_hub_reference,
    read_manifest,
    write_manifest,
)
from .tasks import AUXILIARY, TASKS, Task
from .tokens import ConvertIdsRequest, DetokenizeAnswer, DetokenizeRequest, TokenizeAnswer, TokenizeRequest
from .worker import ExitRecord, Failure, Health, RunnerOrder, WorkerOrder

__all__ = [
    "AUXILIARY",
    "TASKS",
    "BadRequest",
    "Cancelled",
    "CannotRun",
    "ChatChunk",
    "ChatCompletion",
    "ChatRequest",
    "Completion",
    "CompletionRequest",
    "Conflict",
    "Constraining",
    "Constraint",
    "ConstraintKind",
    "ContextLengthExceeded",
    "ConvertIdsRequest",
    "DetokenizeAnswer",
    "DetokenizeRequest",
    "EmbedRequest",
    "EmbeddingAnswer",
    "EmbeddingEngine",
    "EmbeddingRequest",
    "Engine",
    "EngineContext",
    "EngineFailed",
    "EngineSpec",
    "EnginehouseError",
    "Environment",
    "EnvironmentNeed",
    "EstimateMemory",
    "ExitRecord",
    "Failure",
    "Fetch",
    "FetchProgress",
    "GenerateRequest",
    "Health",
    "HubReference",
    "InvalidSpec",
    "LaunchFailed",
    "Manifest",
    "MemoryFacts",
    "Message",
    "ModelFamily",
    "ModelNotFound",
    "ModelType",
    "NotAllowed",
    "NotReady",
    "NotSupported",
    "Options",
    "Overloaded",
    "Parser",
    "ParserSpec",
    "Piece",
    "Problem",
    "Provision",
    "ProvisionerSpec",
    "ReasoningPart",
    "Registration",
    "RerankAnswer",
    "RerankEngine",
    "RerankRequest",
    "RunnerOrder",
    "Sampling",
    "ScoreRequest",
    "Scores",
    "SourceSpec",
    "Task",
    "TextEngine",
    "TextPart",
    "TokenLogprob",
    "TokenizeAnswer",
    "TokenizeRequest",
    "Tokenizing",
    "TooLarge",
    "Tool",
    "ToolCallPart",
    "UnknownOption",
    "Usage",
    "Variant",
    "Vectors",
    "Weights",
    "WorkerLost",
    "WorkerOrder",
    "hookimpl",
    "hookspec",
    "parse_hub_reference",
    "read_manifest",
    "size_in_billions",
    "write_manifest",
]
