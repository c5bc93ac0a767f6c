"""Skill: remembering what the user said some turns ago."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .copying import repeating
from .counting import counting
from .dialogue import Dialogue, Message, exchange
from .facts import facts
from .sums import sums
from .talk import greetings, lists, unknown
from .words import any_city, any_name, any_word


@dataclass(frozen=True)
class Memory:
    """Something a user may tell: how it is told, asked for, answered, and answered when it was never told."""

    kind: str
    tell: tuple[str, ...]
    reply: str
    ask: tuple[str, ...]
    recall: str
    never_told: str
    thing: Callable[[Random, bool], str]


MEMORIES = (
    Memory(
        "name",
        (
            "My name is {}.",
            "I am {}.",
            "Hello, I am {}.",
            "Hi, my name is {}.",
            "Hi, I'm {}.",
            "Call me {}.",
            "I am called {}.",
            "my name is {}",
            "Hello! My name is {}.",
            "Hey, I'm {}",
            "You can call me {}.",
            "Good morning, I am {}.",
        ),
        "Hello, {}! How can I help you?",
        (
            "What is my name?",
            "Who am I?",
            "Do you remember my name?",
            "What am I called?",
            "What's my name?",
            "what is my name",
            "Do you know my name?",
            "Tell me my name.",
            "Can you tell me my name?",
            "And what is my name?",
            "Say my name.",
        ),
        "Your name is {}.",
        "You have not told me your name.",
        any_name,
    ),
    Memory(
        "home",
        ("I live in {}.", "My home is {}.", "I am from {}.", "I come from {}.", "I live in {} now.", "My city is {}."),
        "{} must be a nice place.",
        (
            "Where do I live?",
            "Where am I from?",
            "What is my city?",
            "Do you remember where I live?",
            "Which city do I live in?",
            "where do i live",
            "Where is my home?",
        ),
        "You live in {}.",
        "You have not told me where you live.",
        any_city,
    ),
    Memory(
        "secret",
        (
            "The secret word is {}.",
            "Remember the word {}.",
            "Please remember this word: {}",
            "My secret word is {}.",
            "The password is {}.",
            "Keep this word in mind: {}",
        ),
        "I will remember that.",
        (
            "What is the secret word?",
            "What was the word?",
            "Which word did I tell you?",
            "Do you remember the word?",
            "What is the password?",
            "Tell me the secret word.",
        ),
        "The word is {}.",
        "You have not told me a word.",
        any_word,
    ),
    Memory(
        "pet",
        ("My dog is called {}.", "I have a dog called {}.", "The name of my dog is {}.", "My dog's name is {}."),
        "{} is a good name for a dog.",
        ("What is my dog called?", "What is the name of my dog?", "Do you remember my dog's name?", "Who is my dog?"),
        "Your dog is called {}.",
        "You have not told me about a dog.",
        any_name,
    ),
)
FILLERS = (facts, facts, sums, greetings, unknown, repeating, counting, lists)
KEY_KINDS = {"name": "name", "pet": "name", "home": "city", "secret": "word"}


def remembering(rng: Random, held: bool) -> Dialogue:
    """Something told, up to five other turns, then the question; held out: names, cities and words."""
    memory = rng.choice((*MEMORIES, MEMORIES[0], MEMORIES[0]))
    thing = memory.thing(rng, held)
    told = exchange(rng.choice(memory.tell).format(thing), memory.reply.format(thing))
    middle, keys = _fillers(rng, rng.choice((0, 0, 1, 1, 2, 3, 5)))
    asked = exchange(rng.choice(memory.ask), memory.recall.format(thing))
    key = f"{KEY_KINDS[memory.kind]}|{thing}"
    return Dialogue("remembering", told + middle + asked, (key,), keys, thought=f"The user told me: {thing}.")


def two_memories(rng: Random, held: bool) -> Dialogue:
    """Two things told, then both asked for in any order; held out: names, cities and words."""
    pair = rng.sample(MEMORIES, 2)
    things = [memory.thing(rng, held) for memory in pair]
    both = list(zip(pair, things, strict=True))
    told = [exchange(rng.choice(memory.tell).format(thing), memory.reply.format(thing)) for memory, thing in both]
    middle, keys = _fillers(rng, rng.choice((0, 1, 2)))
    rng.shuffle(both)
    asked = [exchange(rng.choice(memory.ask), memory.recall.format(thing)) for memory, thing in both]
    turns = tuple(message for turn in [*told, middle, *asked] for message in turn)
    named = tuple(f"{KEY_KINDS[memory.kind]}|{thing}" for memory, thing in both)
    return Dialogue("two memories", turns, named, keys)


def never_told(rng: Random, held: bool) -> Dialogue:
    """Asked for something that nobody told; held out: the turns before, as typed."""
    memory = rng.choice(MEMORIES)
    middle, keys = _fillers(rng, rng.choice((0, 0, 1, 2)))
    ask = rng.choice(memory.ask)
    history = "|".join(message.content for message in middle)
    turns = middle + exchange(ask, memory.never_told)
    key = f"never|{ask}|{history}"
    return Dialogue("never told", turns, (key,), keys, thought="The user never told me that.")


def _fillers(rng: Random, count: int) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    dialogues = [rng.choice(FILLERS)(rng, False) for _ in range(count)]
    messages = tuple(message for dialogue in dialogues for message in dialogue.messages)
    return messages, tuple(key for dialogue in dialogues for key in dialogue.keys)
