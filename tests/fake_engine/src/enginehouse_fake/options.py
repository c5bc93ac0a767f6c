"""The knobs: how long an answer is, how slow, and what goes wrong."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from enginehouse.sdk import Options

Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Place = Annotated[int, Meta(ge=1)]


class FakeOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tokens: Annotated[Count, Meta(description="Tokens of an answer, unless max_tokens is smaller")] = 16
    token_seconds: Annotated[Seconds, Meta(description="Pause before each token but the first")] = 0.0
    first_token_seconds: Annotated[Seconds, Meta(description="Pause before the first token")] = 0.0
    flood: Annotated[bool, Meta(description="As many tokens as max_tokens asks for, with no pause at all")] = False
    text: Annotated[str, Meta(description="Always answer with this text, a word a token")] = ""
    echo: Annotated[bool, Meta(description="Answer with the prompt (of a chat: the last user message)")] = False
    context_length: Annotated[Place | None, Meta(description="Tokens; the family's when unset")] = None
    load_seconds: Annotated[Seconds, Meta(description="Time that loading takes, with progress")] = 0.0
    load_crash: Annotated[
        Literal["raise", "exit", "segv"] | None, Meta(description="Fail while loading, in this way")
    ] = None
    crash_at_token: Annotated[Place | None, Meta(description="The process ends (status 3) at this token")] = None
    crash_in_event: Annotated[bool, Meta(description="The token of `crash_at_token` is half written at its end")] = (
        False
    )
    crash_at_request: Annotated[Place | None, Meta(description="The process ends at this request, 1 = first")] = None
    oom_at_token: Annotated[
        Place | None, Meta(description="The process is killed at this token, as by a kernel that is out of memory")
    ] = None
    raise_at_token: Annotated[Place | None, Meta(description="RuntimeError at this token")] = None
    stall_at_token: Annotated[Place | None, Meta(description="Nothing ever comes after this token is due")] = None
    refuse: Annotated[bool, Meta(description="Refuse every request with BadRequest")] = False
    at_once: Annotated[Place | None, Meta(description="Requests at once that it bears; at one more: RuntimeError")] = (
        None
    )
    leak_bytes: Annotated[Count, Meta(description="Memory lost with every request")] = 0
    ignore_sigterm: Annotated[bool, Meta(description="SIGTERM does nothing")] = False
    block_seconds: Annotated[Seconds, Meta(description="Block the event loop so long before the first token")] = 0.0
    constraints: Annotated[
        tuple[str, ...], Meta(description="Kinds of constraint that it says it honours, which it does not")
    ] = ()
    adapters: Annotated[tuple[str, ...], Meta(description="Adapters that it says it has")] = ()
    sleeps: Annotated[bool, Meta(description="Say that it can sleep")] = False
    sleep_seconds: Annotated[Seconds, Meta(description="Time that falling asleep takes, and waking too")] = 0.0
    sleep_crash: Annotated[
        Literal["raise", "exit"] | None, Meta(description="Fail while falling asleep, in this way")
    ] = None
    wake_crash: Annotated[Literal["raise", "exit"] | None, Meta(description="Fail while waking, in this way")] = None
    opens_thinking: Annotated[bool, Meta(description="The chat template ends with an opened <think>")] = False
