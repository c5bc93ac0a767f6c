"""The contract between Enginehouse and its plugins: everything a plugin may import.

Needs the standard library, msgspec and pluggy, nothing else.
"""

from .chat import ChatChunk, ChatCompletion, ChatRequest, Message, Tool, Usage
from .completions import Completion, CompletionRequest
from .engines import Engine, EngineContext, EngineSpec, Options, TextEngine
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
from .sources import Fetch, FetchProgress, SourceSpec
from .tasks import TASKS, Task
from .worker import ExitRecord, Failure, Health, RunnerOrder, WorkerOrder

__all__ = [
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
    "ContextLengthExceeded",
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
    "InvalidSpec",
    "LaunchFailed",
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
    "Provision",
    "ProvisionerSpec",
    "ReasoningPart",
    "RunnerOrder",
    "Sampling",
    "SourceSpec",
    "Task",
    "TextEngine",
    "TextPart",
    "TokenLogprob",
    "TooLarge",
    "Tool",
    "ToolCallPart",
    "UnknownOption",
    "Usage",
    "Variant",
    "WorkerLost",
    "WorkerOrder",
    "hookimpl",
    "hookspec",
    "size_in_billions",
]
