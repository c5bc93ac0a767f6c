"""The task `generate` on the wire: OpenAI's completions, made from the engine's `generate`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..sdk import BadRequest, Completion, CompletionRequest, GenerateRequest, NotSupported, Usage
from ..sdk.completions import CompletionChoice, CompletionLogprobs
from .answers import Answer, Heading, Logprobs, bounded, heading_of, usage_of
from .calls import Method
from .constraints import adapter_of, constraint_of
from .hosting import Hosted
from .sse import DONE
from .text import (
    TextChoice,
    check_max_tokens,
    check_prompt,
    requests_of,
    sampling_of,
    stops_of,
)

CHOICES = 1024  # answers of one request; each is a call into the engine
_encode = msgspec.json.Encoder().encode


class _CompletionAnswer:
    """What both ways of answering have in common. n: choices of each prompt; echoes: what each choice begins with."""

    def __init__(self, method: Method, requests: Sequence[GenerateRequest], n: int, echo: bool, head: Heading):
        self.method = method
        self.requests = requests
        self._n = n
        self._head = head
        self._texts = [TextChoice(each.stop, each.sampling.logprobs is not None) for each in requests]
        self._echoes = [str(each.prompt) if echo else "" for each in requests]
        self._offsets = [0] * len(requests)

    def is_done(self, index: int) -> bool:
        return self._texts[index].finish_reason is not None

    def usage(self) -> Usage:
        prompts = [self._texts[start : start + self._n] for start in range(0, len(self._texts), self._n)]
        read = sum(max(text.prompt_tokens for text in choices) for choices in prompts)
        return usage_of(read, sum(text.tokens for text in self._texts))

    def _columns(self, index: int, logprobs: Logprobs) -> CompletionLogprobs | None:
        if self.requests[index].sampling.logprobs is None:
            return None
        offsets = []
        for each in logprobs:
            offsets.append(self._offsets[index])
            self._offsets[index] += len(each.text)
        return CompletionLogprobs(
            [each.text for each in logprobs],
            [bounded(each.logprob) for each in logprobs],
            [{text: bounded(logprob) for text, logprob in each.top} for each in logprobs],
            offsets,
        )


class WholeCompletion(_CompletionAnswer):
    """Answer in one piece."""

    stream = False

    def __init__(self, method: Method, requests: Sequence[GenerateRequest], n: int, echo: bool, head: Heading):
        super().__init__(method, requests, n, echo, head)
        self._out: list[list[str]] = [[each] for each in self._echoes]
        self._logprobs: list[Logprobs] = [() for _ in requests]

    def opening(self) -> bytes:
        return b""

    def take(self, index: int, item: object) -> bytes:
        text, logprobs = self._texts[index].take(item)
        self._out[index].append(text)
        self._logprobs[index] += logprobs
        return b""

    def end(self, index: int) -> bytes:
        self._out[index].append(self._texts[index].end())
        return b""

    def closing(self) -> bytes:
        head = self._head
        choices = [self._choice(index) for index in range(len(self._texts))]
        return _encode(Completion(head.id, head.created, head.model, choices, self.usage()))

    def _choice(self, index: int) -> CompletionChoice:
        columns = self._columns(index, self._logprobs[index])
        return CompletionChoice(index, "".join(self._out[index]), self._texts[index].finish_reason, columns)


class CompletionStream(_CompletionAnswer):
    """Answer as events. done: whether the stream ends with `[DONE]`."""

    stream = True

    def __init__(
        self,
        method: Method,
        requests: Sequence[GenerateRequest],
        n: int,
        echo: bool,
        head: Heading,
        include_usage: bool,
        done: bool,
    ):
        super().__init__(method, requests, n, echo, head)
        fields = {"id": head.id, "object": "text_completion", "created": head.created, "model": head.model}
        self._start = b"data: " + _encode(fields)[:-1] + b',"choices":['
        self._before = [self._start + b'{"index":%d,"text":' % index for index in range(len(requests))]
        self._after = b'}],"usage":null}\n\n' if include_usage else b"}]}\n\n"
        self._plain = b',"logprobs":null,"finish_reason":null' + self._after
        self._include_usage = include_usage
        self._done = DONE if done else b""

    def opening(self) -> bytes:
        return b"".join(
            self._before[index] + _encode(text) + self._plain for index, text in enumerate(self._echoes) if text
        )

    def take(self, index: int, item: object) -> bytes:
        text, logprobs = self._texts[index].take(item)
        if self._texts[index].finish_reason is None and not logprobs:
            return self._before[index] + _encode(text) + self._plain if text else b""
        return self._event(index, text, logprobs)

    def end(self, index: int) -> bytes:
        return self._event(index, self._texts[index].end(), ())

    def closing(self) -> bytes:
        if not self._include_usage:
            return self._done
        return self._start + b'],"usage":' + _encode(self.usage()) + b"}\n\n" + self._done

    def _event(self, index: int, text: str, logprobs: Logprobs) -> bytes:
        told = _encode(self._columns(index, logprobs)) if logprobs else b"null"
        reason = _encode(self._texts[index].finish_reason)
        ending = b',"logprobs":' + told + b',"finish_reason":' + reason + self._after
        return self._before[index] + _encode(text) + ending


def completion_answer(hosted: Hosted, request: CompletionRequest, request_id: str) -> Answer:
    """Checks a completions request and prepares its answer. Raises BadRequest that names the field."""
    n = request.n or 1
    _check_extras(request, n)
    prompts = _prompts(request, hosted.context_length)
    stops = stops_of(request, hosted.order.stop)
    check_max_tokens(request.max_tokens, hosted.context_length)
    sampling = sampling_of(request, hosted.sampling, max_tokens=request.max_tokens, logprobs=request.logprobs)
    first = GenerateRequest(
        request_id=request_id,
        prompt="",
        sampling=sampling,
        stop=stops,
        constraint=constraint_of(request, hosted),
        lora_name=adapter_of(request, hosted),
        whole=not request.stream,
    )
    requests = [
        each for prompt in prompts for each in requests_of(request_id, msgspec.structs.replace(first, prompt=prompt), n)
    ]
    head = heading_of("cmpl", request_id, hosted.model_uid)
    echo = bool(request.echo)
    if not request.stream:
        return WholeCompletion(hosted.generate, requests, n, echo, head)
    include_usage = bool(request.stream_options and request.stream_options.include_usage)
    done = hosted.order.completions_done
    return CompletionStream(hosted.generate, requests, n, echo, head, include_usage, done)


def _check_extras(request: CompletionRequest, n: int) -> None:
    if request.suffix:
        raise NotSupported("`suffix` is not supported by this engine; leave it out.", param="suffix")
    if request.best_of not in (None, 1, n):
        raise NotSupported(
            f"best_of {request.best_of} is not supported; leave it out, or set it to n ({n}).", param="best_of"
        )
    if request.echo and request.logprobs is not None:
        raise NotSupported("`echo` with `logprobs` is not supported; leave one of them out.", param="echo")
    if request.echo and not isinstance(request.prompt, str) and not all(isinstance(e, str) for e in request.prompt):
        raise NotSupported("`echo` needs the prompt as text, not as token ids; leave it out.", param="echo")


def _prompts(request: CompletionRequest, context_length: int | None) -> list[str | list[int]]:
    given = request.prompt
    prompts: list[str | list[int]]
    if isinstance(given, str):
        prompts = [given]
    elif given and all(isinstance(each, int) for each in given):
        prompts = [given]  # type: ignore[list-item]
    elif given and (all(isinstance(each, str) for each in given) or all(isinstance(each, list) for each in given)):
        prompts = given  # type: ignore[assignment]
    else:
        raise BadRequest(
            "`prompt` must be a text, a list of texts, a list of token ids, or a list of such lists, and not empty.",
            param="prompt",
        )
    if len(prompts) * (request.n or 1) > CHOICES:
        raise BadRequest(f"That makes more than {CHOICES} answers in one request; send fewer prompts.", param="prompt")
    for prompt in prompts:
        _check_prompt(prompt, context_length)
    return prompts


def _check_prompt(prompt: str | list[int], context_length: int | None) -> None:
    unit = "characters" if isinstance(prompt, str) else "tokens"
    if unit == "tokens" and not prompt:
        raise BadRequest("`prompt` holds an empty list of token ids; give at least one.", param="prompt")
    check_prompt(len(prompt), unit, context_length, "prompt")
