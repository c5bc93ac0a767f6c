"""Skill: obeying a system prompt."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from .copying import phrase, word_keys
from .counting import counting
from .dialogue import Dialogue, Message, exchange
from .facts import facts, pick_fact
from .sums import sums
from .talk import greetings, lists, unknown
from .words import any_name, any_word

PLAIN_SYSTEMS = (
    "You are a helpful assistant.",
    "You are Stoker.",
    "You are a friendly assistant.",
    "Be helpful.",
    "You are a helpful assistant. Answer the user's questions.",
    "You are a chat model.",
    "Answer the questions of the user.",
    "You are an assistant.",
    "Be kind and honest.",
)
INTRODUCTIONS = (*PLAIN_SYSTEMS, "You are a pirate.", "You are a teacher.", "You work on a ship.", "You are polite.")
CAPITALS = (
    "Answer in capitals.",
    "Answer in capital letters.",
    "Always answer in capitals.",
    "Write in capital letters only.",
    "Answer in upper case.",
    "Use only capital letters.",
    "Please answer in capitals.",
    "Shout.",
    "You answer in capitals.",
    "Write everything in upper case.",
)
SMALL = (
    "Answer in lower case.",
    "Answer in small letters.",
    "Use only small letters.",
    "Write everything in lower case.",
    "Always answer in lower case.",
    "Never use capital letters.",
)
BRIEF = (
    "Answer briefly.",
    "Answer in as few words as possible.",
    "Be brief.",
    "Give short answers.",
    "Only the answer, please.",
    "Answer with the fact only.",
    "Short answers only.",
    "Be short.",
)
BEGIN = (
    "Begin every answer with {}.",
    'Start every answer with "{}".',
    "Always begin with the word {}.",
    "Every answer begins with {}.",
    'Begin your answers with "{}".',
)
END = (
    "End every answer with {}.",
    'Finish every answer with "{}".',
    "Always end with the word {}.",
    "Every answer ends with {}.",
    'End your answers with "{}".',
)
PERSONA = (
    "You are {}.",
    "Your name is {}.",
    "You are {}, a helpful assistant.",
    "You are {}, a friendly assistant.",
    "You are called {}.",
    "You are an assistant. Your name is {}.",
)
PERSONA_ASKS = (
    "Who are you?",
    "What is your name?",
    "who are you",
    "What are you called?",
    "Your name?",
    "What's your name?",
    "Hello, who are you?",
    "Tell me your name.",
    "Do you have a name?",
    "Introduce yourself.",
)
FIXED = (
    'Answer everything with "{}".',
    'Always answer "{}".',
    'Whatever the user says, answer "{}".',
    'Your only answer is "{}".',
)
ASKED = (facts, facts, facts, sums, greetings, unknown, lists, counting)


@dataclass(frozen=True)
class Rule:
    """A system prompt and what it does to an answer."""

    prompt: str
    change: Callable[[str], str]
    keys: tuple[str, ...] = ()


def _rule(rng: Random, held: bool) -> Rule:
    roll = rng.random()
    if roll < 0.45:
        return Rule(rng.choice(CAPITALS), str.upper)
    if roll < 0.6:
        return Rule(rng.choice(SMALL), str.lower)
    word = any_word(rng, held).capitalize()
    keys = (f"word|{word.lower()}",)
    if roll < 0.8:
        return Rule(rng.choice(BEGIN).format(word), lambda answer: f"{word}! {answer}", keys)
    return Rule(rng.choice(END).format(word), lambda answer: f"{answer} {word}!", keys)


def obeying(rng: Random, held: bool) -> Dialogue:
    """One to three turns under a rule; held out: rule and typed question together, numbers, and given words."""
    rule = _introduced(rng, _rule(rng, held))
    asked = [rng.choice(ASKED)(rng, False) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    turns = tuple(turn for each in asked for turn in _changed(each, rule))
    earlier = tuple(key for each in asked[:-1] for key in each.keys)
    keys = (*rule.keys, *asked[-1].keys, f"rule|{rule.prompt}|{turns[-2].content}")
    return Dialogue("obeying", turns, keys, earlier, system=rule.prompt, thought="I follow the rule.")


def _introduced(rng: Random, rule: Rule) -> Rule:
    """The rule, sometimes after a sentence that asks for nothing."""
    return replace(rule, prompt=f"{rng.choice(INTRODUCTIONS)} {rule.prompt}") if rng.random() < 0.2 else rule


def _changed(asked: Dialogue, rule: Rule) -> tuple[Message, Message]:
    question, answer = asked.messages
    return exchange(question.content, rule.change(answer.content))


def brief(rng: Random, held: bool) -> Dialogue:
    """Facts answered in a word or two; held out: the pair of rule and typed question."""
    rule = rng.choice(BRIEF)
    picked = [pick_fact(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    turns = tuple(turn for fact, question in picked for turn in exchange(question, fact.short + "."))
    earlier = tuple(f"fact|{question}" for _, question in picked[:-1])
    keys = (f"brief|{rule}|{picked[-1][1]}", f"fact|{picked[-1][1]}")
    return Dialogue("brief", turns, keys, earlier, system=rule, thought="I answer briefly.")


def persona(rng: Random, held: bool) -> Dialogue:
    """Another name given by the system prompt; held out: names."""
    name = any_name(rng, held)
    turns: tuple[Message, ...] = exchange(rng.choice(PERSONA_ASKS), f"I am {name}.")
    earlier: tuple[str, ...] = ()
    if rng.random() < 0.4:
        before = rng.choice((facts, sums))(rng, False)
        turns, earlier = before.messages + turns, before.keys
    system = rng.choice(PERSONA).format(name)
    return Dialogue("persona", turns, (f"name|{name}",), earlier, system=system, thought=f"I am {name} here.")


def fixed(rng: Random, held: bool) -> Dialogue:
    """One answer to everything; held out: the words of the answer."""
    text = phrase(rng, held, longest=4)
    asked = rng.choice(ASKED)(rng, False)
    turns = exchange(asked.messages[0].content, text)
    return Dialogue(
        "fixed answer",
        turns,
        word_keys(text),
        asked.keys,
        system=rng.choice(FIXED).format(text),
        thought="I always say the same.",
    )
