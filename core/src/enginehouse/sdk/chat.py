"""The task `chat` on the wire: OpenAI's chat completions, with the fields that Xinference's clients add.

Fields that may be null are `X | None = None`; a field that a client sends and that is not listed here is
let through unread, as OpenAI's own server does for its SDK's extra fields.
Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
TopLogprobs = Annotated[int, msgspec.Meta(ge=0, le=20)]
Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
RepetitionPenalty = Annotated[float, msgspec.Meta(gt=0, le=10)]


class FunctionCall(msgspec.Struct):
    """A call that a model made. arguments: a JSON object as text (some clients send the object itself)."""

    name: str
    arguments: str | dict[str, Any] = "{}"


class ToolCall(msgspec.Struct):
    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class Message(msgspec.Struct, omit_defaults=True):
    """One turn. content: text, a list of parts ({"type": "text", "text": ...}, ...) or null."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


class Function(msgspec.Struct, omit_defaults=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct):
    """A tool that the model may call. parameters: JSON schema."""

    function: Function
    type: Literal["function"] = "function"


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class GuidedFields(msgspec.Struct, kw_only=True):
    """What an answer must look like, in vLLM's words. At most one of the first five.

    guided_json: a JSON schema, or its text. guided_decoding_backend: names a library of vLLM's; which one is used
    here is the engine's affair, and the answer fits all the same.
    """

    guided_json: dict[str, Any] | bool | str | None = None
    guided_json_object: bool | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    guided_whitespace_pattern: str | None = None
    guided_decoding_backend: str | None = None


class ExtraBody(GuidedFields, kw_only=True):
    """Fields of vLLM's that Xinference's clients send in an object of their own."""


class ResponseSchema(msgspec.Struct):
    """schema: left out, any JSON object will do."""

    name: str | None = None
    schema: dict[str, Any] | bool | None = None
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(msgspec.Struct):
    """OpenAI's way to say what an answer must look like. type: text, json_object or json_schema."""

    type: str = "text"
    json_schema: ResponseSchema | None = None


class SamplingFields(GuidedFields, kw_only=True):
    """What chat and completions have in common: how to sample, and how to answer."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: PositiveInt | None = None
    n: Choices | None = None
    temperature: Temperature | None = None
    top_p: Fraction | None = None
    top_k: int | None = None
    min_p: Fraction | None = None
    seed: Seed | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool | None = None
    repetition_penalty: RepetitionPenalty | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    request_id: str | None = None
    user: str | None = None
    lora_name: str | None = None
    response_format: ResponseFormat | None = None
    extra_body: ExtraBody | None = None


class ChatRequest(SamplingFields, kw_only=True):
    """Body of `POST /v1/chat/completions`. `max_completion_tokens` wins over `max_tokens`."""

    messages: list[Message]
    max_completion_tokens: PositiveInt | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: dict[str, Any] | str | None = None
    enable_thinking: bool | None = None
    reasoning_effort: str | None = None


class Usage(msgspec.Struct):
    """Tokens; an end-of-text token that the model produced counts as a completion token."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class TokenLogprobs(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[TopLogprob] = []


class ChoiceLogprobs(msgspec.Struct):
    content: list[TokenLogprobs]


class AnswerMessage(msgspec.Struct, omit_defaults=True):
    content: str | None
    role: Literal["assistant"] = msgspec.field(default_factory=lambda: "assistant")
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None


class ChatChoice(msgspec.Struct):
    """One answer. stop_reason: the stop string that cut it, if one did (as vLLM says it)."""

    index: int
    message: AnswerMessage
    finish_reason: str
    logprobs: ChoiceLogprobs | None = None
    stop_reason: str | None = None


class ChatCompletion(msgspec.Struct):
    """Answer of `POST /v1/chat/completions` without `stream`. created: seconds since 1970."""

    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    object: Literal["chat.completion"] = "chat.completion"


class FunctionDelta(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct, omit_defaults=True):
    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta | None = None


class Delta(msgspec.Struct, omit_defaults=True):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChatChunkChoice(msgspec.Struct):
    """A piece of one answer. stop_reason: see ChatChoice; with finish_reason."""

    index: int
    delta: Delta
    finish_reason: str | None = None
    logprobs: ChoiceLogprobs | None = None
    stop_reason: str | None = None


class ChatChunk(msgspec.Struct):
    """One event of a chat stream; the stream ends with `data: [DONE]`."""

    id: str
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
