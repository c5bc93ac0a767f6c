"""vLLM's server as what the runner hosts: its routes, asked within the process, are an engine's methods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import msgspec

from enginehouse.sdk import (
    BadRequest,
    ConstraintKind,
    EmbedRequest,
    GenerateRequest,
    Message,
    NotSupported,
    Piece,
    Sampling,
    ScoreRequest,
    Scores,
    Tool,
    Vectors,
)
from enginehouse.sdk.templates import (
    check_template_options,
    no_template,
    template_messages,
    template_refused,
    template_tools,
)

from .bodies import ChatPrompt, generation_body
from .inside import Inside
from .pieces import Pieces, StreamFailed
from .pooling import Pooling, embed, score
from .refusals import refusal_of
from .rest import Rest

_RESERVED = frozenset({"conversation", "tools", "tokenize", "chat_template", "return_dict"})
_encode = msgspec.json.Encoder().encode

OWN_FIELDS: ContextVar[dict[str, Any]] = ContextVar("own_fields", default={})  # noqa: B039 - replaced, never changed
"""Fields of vLLM's own, which no other engine has, that the request being served was sent with."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the model once vLLM has loaded it. prompts: texts put before inputs, by name."""

    model_uid: str
    context_length: int
    vocabulary: int
    tokenizer: Any
    sampling: Sampling = Sampling()
    adapters: tuple[str, ...] = ()
    chat_template: str | None = None
    prompts: dict[str, str] = {}
    default_prompt: str = ""
    truncates: bool = True
    own_stops: int = 0


class ModelServer:
    """An engine to the runner. Its answers are vLLM's own, read from its streams."""

    constraints: tuple[ConstraintKind, ...] = ("json_schema", "regex", "choice", "grammar")

    def __init__(self, inside: Inside, facts: Facts, rest: Rest) -> None:
        self._inside = inside
        self.can_sleep = rest.can_sleep
        self.sleep, self.wake = rest.sleep, rest.wake
        self._facts = facts
        self._pooling = Pooling(inside, facts)
        self.context_length = facts.context_length
        self.default_sampling = facts.sampling
        self.adapters = facts.adapters

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """The pieces of one answer, as vLLM streams them."""
        self._check(request)
        route, body = generation_body(request, self._facts.model_uid, OWN_FIELDS.get(), self._facts.own_stops)
        pieces = Pieces(request.sampling.logprobs, request.stop)
        stream = self._inside.stream(route, _encode(body))
        refused: list[bytes] = []
        status = 200
        try:
            async for status, data in stream:
                if status != 200:
                    refused.append(data)
                    continue
                for piece in pieces.feed(data):
                    yield piece
        except StreamFailed as failure:
            raise refusal_of(500, failure.body, request.constraint) from failure
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
        if status != 200:
            raise refusal_of(status, b"".join(refused), request.constraint)

    async def run(self, request: GenerateRequest, take: Callable[[list[Piece]], Awaitable[None]]) -> None:
        """As `generate`, but in this task: `take` gets the pieces as vLLM's server sends them."""
        self._check(request)
        route, body = generation_body(request, self._facts.model_uid, OWN_FIELDS.get(), self._facts.own_stops)
        pieces = Pieces(request.sampling.logprobs, request.stop)

        async def read(data: bytes) -> None:
            if found := list(pieces.feed(data)):
                await take(found)

        try:
            status, refused = await self._inside.run(route, _encode(body), read)
        except StreamFailed as failure:
            raise refusal_of(500, failure.body, request.constraint) from failure
        if status != 200:
            raise refusal_of(status, refused, request.constraint)

    def chat_prompt(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], options: dict[str, Any]) -> str:
        """The conversation, for vLLM; its rendering, for parsers that look at how the prompt ends."""
        facts = self._facts
        if facts.chat_template is None and not getattr(facts.tokenizer, "chat_template", None):
            raise no_template()
        check_template_options(options, _RESERVED)
        _check_links(messages)
        try:
            text = facts.tokenizer.apply_chat_template(
                template_messages(_text_only(messages)),
                tools=template_tools(tools),
                chat_template=facts.chat_template,
                tokenize=False,
                **{"add_generation_prompt": True, **options},
            )
        except Exception as error:  # a template is foreign code
            raise template_refused(error) from error
        made: str = ChatPrompt.of(text, messages, tools, options)
        return made

    async def embed(self, request: EmbedRequest) -> Vectors:
        """The vectors of all inputs."""
        return await embed(self._pooling, request)

    async def rerank(self, request: ScoreRequest) -> Scores:
        """The scores of all documents."""
        return await score(self._pooling, request)

    def tokenize(self, text: str, special_tokens: bool = False) -> list[int]:
        """Token ids of a text; `special_tokens`: it spells its special tokens out itself."""
        ids: list[int] = self._facts.tokenizer.encode(text, add_special_tokens=not special_tokens)
        return ids

    def detokenize(self, ids: list[int]) -> str:
        """The text of token ids, special tokens left out."""
        self._check_ids(ids, "tokens")
        text: str = self._facts.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Each id as the vocabulary spells it; an id that only pads the model's output is spelled as nothing."""
        self._check_ids(ids, "tokens")
        tokens: list[str | None] = self._facts.tokenizer.convert_ids_to_tokens(ids)
        return [token or "" for token in tokens]

    def close(self) -> None:
        """Nothing: vLLM's own server closes its engine."""

    def _check(self, request: GenerateRequest) -> None:
        """What vLLM would refuse with less precise words, or not at all."""
        if not request.prompt:
            raise BadRequest("The prompt is empty: this model needs at least one token to continue.", param="prompt")
        if isinstance(request.prompt, list):
            self._check_ids(request.prompt, "prompt")
        for token in request.sampling.logit_bias:
            if not 0 <= token < self._facts.vocabulary:
                last = self._facts.vocabulary - 1
                raise BadRequest(f"logit_bias names token {token}, but ids go from 0 to {last}.", param="logit_bias")
        if request.constraint is not None and request.sampling.ignore_eos:
            raise NotSupported(
                f"{request.constraint.param} says where an answer ends, and ignore_eos that it does not; leave one "
                "out.",
                param="ignore_eos",
            )

    def _check_ids(self, ids: list[int], param: str) -> None:
        if wrong := next((token for token in ids if not 0 <= token < self._facts.vocabulary), None):
            last = self._facts.vocabulary - 1
            raise BadRequest(f"There is no token {wrong}: ids go from 0 to {last}.", param=param)


def _check_links(messages: tuple[Message, ...]) -> None:
    """Refuses images and sounds that vLLM would fetch: a caller could ask for what only this machine can reach."""
    for number, message in enumerate(messages):
        for place, part in enumerate(message.content if isinstance(message.content, list) else ()):
            link = part.get(str(part.get("type")))
            url = link.get("url") if isinstance(link, dict) else link
            if isinstance(url, str) and part.get("type") != "text" and not url.startswith("data:"):
                where = f"messages[{number}].content[{place}]"
                raise NotSupported(f"{where} is a link, and nothing is fetched; send a data: URL.", param=where)


def _text_only(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages without their images and sounds, which only vLLM itself can render."""
    return tuple(
        msgspec.structs.replace(message, content=[part for part in message.content if part.get("type") == "text"])
        if isinstance(message.content, list)
        else message
        for message in messages
    )
