"""The stream of dialogues to train on, and the held-out ones to evaluate with."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from .copying import repeating, several_times, spelling
from .counting import counting, plain_counting
from .dialogue import Dialogue
from .facts import facts, statements
from .memory import never_told, remembering, two_memories
from .obeying import PLAIN_SYSTEMS, brief, fixed, obeying, persona
from .split import is_held_out
from .sums import sum_drill, sums, thoughtful_sums
from .talk import greetings, lists, plain_stories, stories, unknown
from .tool_use import tool_calls, tool_results, tools_left_alone, two_calls, whole_errand

Skill = Callable[[Random, bool], Dialogue]

SIMPLE: dict[Skill, float] = {
    facts: 9,
    sums: 9,
    counting: 3,
    repeating: 4.5,
    several_times: 4,
    spelling: 5,
    greetings: 2.5,
    lists: 1,
    unknown: 3,
}
"""Skills of one question and one answer, which may stand together in one conversation, with their weights."""

WHOLE: dict[Skill, float] = {
    sum_drill: 3,
    thoughtful_sums: 2.5,
    statements: 2,
    plain_counting: 0.7,
    plain_stories: 0.3,
    stories: 0.6,
    remembering: 4,
    two_memories: 1,
    never_told: 1,
    obeying: 6,
    brief: 3,
    persona: 1.2,
    fixed: 0.8,
    tool_calls: 8,
    two_calls: 2,
    tool_results: 4,
    tools_left_alone: 4,
    whole_errand: 1,
}
"""Skills that bring a conversation of their own, with their weights."""

EVALUATED: tuple[Skill, ...] = (
    facts,
    statements,
    sums,
    counting,
    repeating,
    several_times,
    spelling,
    greetings,
    lists,
    stories,
    unknown,
    remembering,
    two_memories,
    never_told,
    obeying,
    brief,
    persona,
    fixed,
    tool_calls,
    two_calls,
    tool_results,
    tools_left_alone,
)
CONVERSATIONS = 22.0
"""Weight of conversations made of simple skills."""
THINKING_SHARE = 0.2
SYSTEM_SHARE = 0.12


def draw(skill: Skill, rng: Random, held: bool) -> Dialogue:
    """A dialogue of the asked side of the split, drawn again until it is."""
    while True:
        dialogue = skill(rng, held)
        if any(map(is_held_out, dialogue.earlier)):
            continue
        if any(map(is_held_out, dialogue.keys)) == held:
            return dialogue


def conversation(rng: Random) -> Dialogue:
    """Several simple skills one after the other: one turn often, up to fourteen now and then."""
    count = rng.choice((1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, rng.randint(2, 14)))
    parts = [draw(skill, rng, False) for skill in rng.choices(list(SIMPLE), list(SIMPLE.values()), k=count)]
    return _joined(parts)


def _joined(parts: list[Dialogue]) -> Dialogue:
    messages = tuple(message for part in parts for message in part.messages)
    earlier = [key for part in parts for key in part.earlier] + [key for part in parts[:-1] for key in part.keys]
    return replace(parts[-1], messages=messages, earlier=tuple(earlier))


def _dressed(rng: Random, dialogue: Dialogue) -> Dialogue:
    """The dialogue, sometimes with thinking on, sometimes under a system prompt that asks for nothing special."""
    if dialogue.plain:
        return dialogue
    if dialogue.thought and rng.random() < THINKING_SHARE:
        dialogue = replace(dialogue, thinking=True)
    if not dialogue.system and rng.random() < SYSTEM_SHARE:
        dialogue = replace(dialogue, system=rng.choice(PLAIN_SYSTEMS))
    return dialogue


def training_stream(seed: int) -> Iterator[Dialogue]:
    """Dialogues without end, none with a held-out combination; the same for the same seed."""
    rng = Random(f"train {seed}")
    skills, weights = list(WHOLE), list(WHOLE.values())
    share = CONVERSATIONS / (CONVERSATIONS + sum(weights))
    while True:
        simple = rng.random() < share
        dialogue = conversation(rng) if simple else draw(rng.choices(skills, weights)[0], rng, False)
        yield _dressed(rng, dialogue)


def long_stream(seed: int) -> Iterator[Dialogue]:
    """Conversations of twenty to forty turns, some of which begin with something to remember to the end."""
    rng = Random(f"long {seed}")
    while True:
        parts = [conversation(rng) for _ in range(rng.randint(5, 11))]
        if rng.random() < 0.5:
            parts = _wrapped(draw(remembering, rng, False), parts)
        yield _dressed(rng, _joined(parts))


def _wrapped(memory: Dialogue, parts: list[Dialogue]) -> list[Dialogue]:
    told = replace(memory, messages=memory.messages[:-2])
    asked = replace(memory, messages=memory.messages[-2:])
    return [told, *parts, asked]


def held_out(skill: Skill, count: int, seed: int = 0) -> list[Dialogue]:
    """Held-out dialogues of one skill; one in four has turns of other skills before it."""
    rng = Random(f"held out {skill.__name__} {seed}")
    return [_with_history(rng, skill, draw(skill, rng, True)) for _ in range(count)]


def _with_history(rng: Random, skill: Skill, dialogue: Dialogue) -> Dialogue:
    if skill not in SIMPLE or rng.random() < 0.75:
        return dialogue
    before = rng.choices(list(SIMPLE), list(SIMPLE.values()), k=rng.randint(1, 4))
    return _joined([*(draw(each, rng, False) for each in before), dialogue])


def held_out_thinking(count: int, seed: int = 0) -> list[Dialogue]:
    """Held-out dialogues of several skills with thinking on."""
    rng = Random(f"thinking {seed}")
    skills = (facts, sums, sums, spelling, counting, tool_calls, remembering)
    drawn = (draw(rng.choice(skills), rng, True) for _ in range(count))
    return [replace(dialogue, skill="thinking", thinking=True) for dialogue in drawn]
