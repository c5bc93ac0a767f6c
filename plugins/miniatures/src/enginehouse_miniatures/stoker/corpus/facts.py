"""Skill: a few hundred facts, each asked in several ways."""

from dataclasses import dataclass
from functools import cache
from random import Random

from . import fact_tables as tables
from .dialogue import Dialogue, Message, exchange
from .phrasing import vary
from .single_facts import SINGLE_FACTS


@dataclass(frozen=True)
class Fact:
    """One true thing: ways to ask it, the short answer, the full sentence and what it is about."""

    questions: tuple[str, ...]
    short: str
    sentence: str
    topic: str


def _fill(table: str, questions: str, short: str, sentence: str, topic: str) -> list[Fact]:
    """Facts from a table: `{0}` is a row's first cell, `{1}` its second and so on."""
    return [
        Fact(
            tuple(question.format(*row) for question in questions.split("/")),
            short.format(*row),
            sentence.format(*row),
            topic.format(*row),
        )
        for row in tables.rows(table)
    ]


def _capitals() -> list[Fact]:
    forward = "What is the capital of {0}?/Which city is the capital of {0}?/Name the capital of {0}./Capital of {0}?"
    backward = "Which country has the capital {1}?/{1} is the capital of which country?"
    where = "On which continent is {0}?/Which continent is {0} on?/Where is {0}?"
    return [
        *_fill(tables.COUNTRIES, forward, "{1}", "The capital of {0} is {1}.", "the capital of {0}"),
        *_fill(tables.COUNTRIES, backward, "{0}", "{1} is the capital of {0}.", "the city {1}"),
        *_fill(tables.COUNTRIES, where, "{2}", "{0} is in {2}.", "the place of {0}"),
    ]


def _countries() -> list[Fact]:
    money = "What is the currency of {0}?/Which money do people use in {0}?/What do people pay with in {0}?"
    speech = "Which language do people speak in {0}?/What is the main language of {0}?/What do people speak in {0}?"
    return [
        *_fill(tables.CURRENCIES, money, "{1}", "The currency of {0} is {1}.", "the money of {0}"),
        *_fill(tables.LANGUAGES, speech, "{1}", "The main language of {0} is {1}.", "the language of {0}"),
    ]


def _animals() -> list[Fact]:
    young = "What is a young {0} called?/What do you call a young {0}?/What is a baby {0}?"
    sound = "What sound does a {0} make?/Which sound does the {0} make?/What does the {0} do?"
    legs = "How many legs does a {0} have?/How many legs has a {0}?/What is the number of legs of a {0}?"
    facts = [
        *_fill(tables.YOUNG, young, "{1}", "A young {0} is called {1}.", "a young {0}"),
        *_fill(tables.SOUNDS, sound, "It {1}", "The {0} {1}.", "the sound of the {0}"),
        *_fill(tables.LEGS, legs, "{1}", "A {0} has {1} legs.", "the legs of a {0}"),
    ]
    return [_with_articles(fact) for fact in facts]


def _with_articles(fact: Fact) -> Fact:
    questions = tuple(_article(question) for question in fact.questions)
    return Fact(questions, fact.short, _article(fact.sentence), _article(fact.topic))


def _article(text: str) -> str:
    for word in ("ant", "elephant", "owl", "eagle", "octagon"):
        text = text.replace(f"a {word}", f"an {word}").replace(f"A {word}", f"An {word}")
    return text


def _things() -> list[Fact]:
    symbol = "What is the chemical symbol of {0}?/Which symbol does {0} have?/What is the symbol for {0}?"
    opposite = "What is the opposite of {0}?/Name the opposite of {0}./Give me the opposite of {0}./Opposite of {0}?"
    sides = "How many sides does a {0} have?/How many sides has a {0}?/What is the number of sides of a {0}?"
    colour = "What colour is {0}?/Which colour does {0} have?/What is the colour of {0}?"
    writer = "Who wrote {0}?/Who is the author of {0}?/Which writer wrote {0}?"
    reverse = "What is the opposite of {1}?/Name the opposite of {1}./Opposite of {1}?"
    return [
        *_fill(tables.ELEMENTS, symbol, "{1}", "The chemical symbol of {0} is {1}.", "the symbol of {0}"),
        *_fill(tables.OPPOSITES, opposite, "{1}", "The opposite of {0} is {1}.", "the opposite of {0}"),
        *_fill(tables.OPPOSITES, reverse, "{0}", "The opposite of {1} is {0}.", "the opposite of {1}"),
        *map(_with_articles, _fill(tables.SIDES, sides, "{1}", "A {0} has {1} sides.", "the sides of a {0}")),
        *_fill(tables.COLOURS, colour, "{1}", "The colour of {0} is {1}.", "the colour of {0}"),
        *_fill(tables.WRITERS, writer, "{1}", "{1} wrote {0}.", "the writer of {0}"),
    ]


def _neighbours(kind: str, names: tuple[str, ...]) -> list[Fact]:
    facts = []
    for before, after in zip(names, names[1:] + names[:1], strict=True):
        next_ask = (f"What comes after {before}?", f"Which {kind} comes after {before}?", f"What follows {before}?")
        last_ask = (f"What comes before {after}?", f"Which {kind} comes before {after}?")
        facts.append(Fact(next_ask, after, f"{after} comes after {before}.", f"the {kind} after {before}"))
        facts.append(Fact(last_ask, before, f"{before} comes before {after}.", f"the {kind} before {after}"))
    return facts


def _calendar() -> list[Fact]:
    facts = [*_neighbours("day", tables.DAYS), *_neighbours("month", tables.MONTHS)]
    for month, days in zip(tables.MONTHS, tables.MONTH_DAYS, strict=True):
        asks = (f"How many days are in {month}?", f"How many days does {month} have?")
        more = ", or 29 in a leap year" if month == "February" else ""
        facts.append(Fact(asks, str(days), f"{month} has {days} days{more}.", f"the days of {month}"))
    for place, planet in enumerate(tables.PLANETS, 1):
        asks = (f"Which planet is number {place} from the Sun?", f"Name planet {place} from the Sun.")
        facts.append(Fact(asks, planet, f"Planet number {place} from the Sun is {planet}.", f"planet number {place}"))
    return facts


def _singles() -> list[Fact]:
    facts = []
    for line in SINGLE_FACTS.strip().splitlines():
        asks, short, sentence = (part.strip() for part in line.split("#"))
        questions = tuple(asks.split("/"))
        facts.append(Fact(questions, short, sentence, "something I learned"))
    return facts


@cache
def all_facts() -> tuple[Fact, ...]:
    """Every fact Stoker is taught."""
    return (*_capitals(), *_countries(), *_animals(), *_things(), *_calendar(), *_singles())


@cache
def _weighted() -> tuple[Fact, ...]:
    singles = _singles()
    return all_facts() + tuple(singles) * 2


def pick_fact(rng: Random) -> tuple[Fact, str]:
    """A fact and one typed question for it; facts outside tables come up more often."""
    fact = rng.choice(_weighted())
    return fact, vary(rng, rng.choice(fact.questions))


def facts(rng: Random, held: bool) -> Dialogue:
    """A question as typed is the combination that the split looks at, so a fact is known but not this wording."""
    fact, question = pick_fact(rng)
    thought = f"The question is about {fact.topic}. I know that."
    return Dialogue("facts", exchange(question, fact.sentence), (f"fact|{question}",), thought=thought)


def statements(rng: Random, held: bool) -> Dialogue:
    """Plain sentences without any chat marks, to be completed; held out: what stands before the completion."""
    picked = [rng.choice(_weighted()) for _ in range(rng.randint(1, 4))]
    text = " ".join(fact.sentence for fact in picked)
    start, end = _cut(text, picked[-1].short)
    turns = (Message("assistant", start), Message("assistant", end))
    return Dialogue("statements", turns, (f"statement|{start}",), plain=True)


def _cut(text: str, short: str) -> tuple[str, str]:
    """The text cut before the short answer where it ends with it, else before its last word."""
    tail = f" {short[:1].lower()}{short[1:]}."
    for end in (f" {short}.", tail):
        if text.endswith(end):
            return text[: -len(end)], end
    start, _, last = text.rpartition(" ")
    return start, f" {last}"
