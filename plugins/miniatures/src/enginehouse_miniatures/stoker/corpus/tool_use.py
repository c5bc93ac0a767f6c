"""Skills: calling a tool that fits, saying what came of it, and leaving tools alone that do not fit."""

from random import Random

from .copying import repeating, word_keys
from .dialogue import Dialogue, Message, Tool, ToolCall, exchange
from .facts import facts
from .lookup_tools import lookup_kind
from .phrasing import OPENINGS, lower_first
from .sums import sums
from .talk import DO_NOT_KNOW, greetings, lists
from .tool_kind import ToolKind, Values
from .tool_kinds import KINDS

FAILURES = (
    "timeout",
    "not found",
    "no connection",
    "unknown place",
    "try again later",
    "server error",
    "wrong argument",
    "permission denied",
    "too many requests",
)
NOT_ARITHMETIC = tuple(
    kind for kind in KINDS if kind.names[0] not in ("add", "subtract", "multiply", "calculator", "random_number")
)


def _kind(rng: Random) -> ToolKind:
    return lookup_kind(rng) if rng.random() < 0.25 else rng.choice((*KINDS, *KINDS[:2]))


def _offers(rng: Random, chosen: Tool, kind: ToolKind) -> tuple[Tool, ...]:
    """The chosen tool among up to three that do other things, in any order."""
    calculators = KINDS[2:6]
    others = [other for other in KINDS if other is not kind and not (kind in calculators and other in calculators)]
    tools = [chosen, *(other.offer(rng) for other in rng.sample(others, rng.choice((0, 0, 1, 1, 2, 3))))]
    rng.shuffle(tools)
    return tuple(tools)


def _asked(rng: Random, kind: ToolKind, values: Values) -> str:
    question = rng.choice(kind.asks).format(*values)
    if rng.random() < 0.1:
        return question.rstrip("?.")
    return question if rng.random() < 0.85 else rng.choice(OPENINGS) + lower_first(question)


def _call(tool: Tool, values: Values) -> ToolCall:
    return ToolCall(tool.name, {name: value for (name, _), value in zip(tool.parameters, values, strict=False)})


def _keys(tool: Tool, values: Values) -> tuple[str, ...]:
    """Combinations: the tool's name with its parameters' names, the values together, and each word or city."""
    shape = ",".join(name for name, _ in tool.parameters)
    things = [value for value in values if isinstance(value, str)]
    words = tuple(key for thing in things for key in (*word_keys(thing), f"city|{thing}", f"name|{thing}"))
    return (f"tool|{tool.name}({shape})", f"values|{values}", *words)


def tool_calls(rng: Random, held: bool) -> Dialogue:
    """Call the tool that fits; held out: tool signatures, cities, names, words and numbers."""
    kind = _kind(rng)
    values, tool = kind.values(rng, held), kind.offer(rng)
    call = _call(tool, values)
    turns = (Message("user", _asked(rng, kind, values)), Message("assistant", "", (call,)))
    thought = f"The tool {tool.name} fits."
    return Dialogue("tool calls", turns, _keys(tool, values), tools=_offers(rng, tool, kind), thought=thought)


def two_calls(rng: Random, held: bool) -> Dialogue:
    """Two cities in one question give two calls; held out: cities and tool signatures."""
    kind = rng.choice(KINDS[:2])
    tool = kind.offer(rng)
    first, second = kind.values(rng, held), kind.values(rng, held)
    while second == first:
        second = kind.values(rng, held)
    what = "weather" if kind is KINDS[0] else "time"
    ask = rng.choice(
        ("What is the {} in {} and in {}?", "What is the {} in {} and {}?", "Tell me the {} in {} and in {}.")
    )
    turns = (
        Message("user", ask.format(what, first[0], second[0])),
        Message("assistant", "", (_call(tool, first), _call(tool, second))),
    )
    keys = (*_keys(tool, first), *_keys(tool, second))
    return Dialogue(
        "two calls", turns, keys, tools=_offers(rng, tool, kind), thought=f"The tool {tool.name} fits, twice."
    )


def tool_results(rng: Random, held: bool) -> Dialogue:
    """Say what a tool gave back, also when it failed; held out: tool signatures, cities, names, words and numbers."""
    kind = _kind(rng)
    values, tool = kind.values(rng, held), kind.offer(rng)
    result, answer = kind.results(rng, values)
    if rng.random() < 0.08:
        failure = rng.choice(FAILURES)
        result, answer = (
            rng.choice((f'{{"error": "{failure}"}}', f"Error: {failure}")),
            f"That did not work: {failure}.",
        )
    turns = (
        Message("user", _asked(rng, kind, values)),
        Message("assistant", "", (_call(tool, values),)),
        Message("tool", result),
        Message("assistant", answer),
    )
    keys = (*_keys(tool, values), f"result|{result}")
    return Dialogue(
        "tool results", turns, keys, tools=_offers(rng, tool, kind), thought="I say what the tool gave back."
    )


def tools_left_alone(rng: Random, held: bool) -> Dialogue:
    """Tools are there but the question needs none, or none of them fits; held out: numbers and wordings."""
    if rng.random() < 0.25:
        return _no_fitting_tool(rng, held)
    kinds = rng.sample(NOT_ARITHMETIC, rng.randint(1, 3))
    asked = rng.choice((facts, facts, sums, greetings, greetings, repeating, lists))(rng, held)
    tools = tuple(kind.offer(rng) for kind in kinds)
    thought = "I need no tool. " + asked.thought
    return Dialogue("tools left alone", asked.messages, asked.keys, tools=tools, thought=thought)


def _no_fitting_tool(rng: Random, held: bool) -> Dialogue:
    wanted = rng.choice(KINDS[:2])
    kinds = rng.sample([kind for kind in NOT_ARITHMETIC[2:] if "search" not in kind.names], rng.randint(1, 3))
    values = wanted.values(rng, held)
    turns = exchange(_asked(rng, wanted, values), DO_NOT_KNOW)
    tools = tuple(kind.offer(rng) for kind in kinds)
    key = f"city|{values[0]}"
    return Dialogue("tools left alone", turns, (key,), tools=tools, thought="No tool fits, and I do not know it.")


def whole_errand(rng: Random, held: bool) -> Dialogue:
    """A call, its result, the answer, then another turn under the same tools; held out as in `tool_results`."""
    done = tool_results(rng, False)
    kind = rng.choice(KINDS[:2])
    tool = kind.offer(rng)
    values = kind.values(rng, held)
    taken = {each.name for each in done.tools}
    if tool.name in taken or any(each.name in kind.names for each in done.tools):
        return done
    turns = (
        *done.messages,
        Message("user", _asked(rng, kind, values)),
        Message("assistant", "", (_call(tool, values),)),
    )
    tools = tuple(rng.sample((*done.tools, tool), len(done.tools) + 1))
    thought = f"The tool {tool.name} fits."
    return Dialogue("tool calls", turns, _keys(tool, values), done.keys, tools=tools, thought=thought)
