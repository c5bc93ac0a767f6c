"""Questions about people, and sentences that answer them or nearly do. All made here, from a seed.

A sentence says one thing of one person. It answers a question when both are about the same person and the same
thing; the sentences that are hard to tell from it share one of the two. Names are made of syllables, so that there
are always more than were learned: those that `is_held_out` never occur in training.
"""

from __future__ import annotations

import random
import zlib
from typing import NamedTuple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ROLES = _words(
    "baker miller smith farmer doctor teacher sailor painter singer driver cook nurse judge poet pilot tailor weaver "
    "hunter fisher gardener porter guard clerk mayor king queen prince captain soldier student"
)
STARTS = _words("ba be bi bo bu da de di do du fa fe fi fo ga ge go ka ke ki ko la le li lo ma me mi mo na ne ni no")
ENDS = _words("ran rel rin ron san sel sin son tan tel tin ton van vel vin von zan zel zin zon mar mer mir mor")

_PLACES = _words("oslo rome paris cairo lima delhi berlin tokyo quito dublin london madrid")
_FOODS = _words("bread cheese soup fish rice apples pears beans honey cake plums nuts")
_PETS = _words("cat dog horse goat parrot rabbit hen duck sheep snake mouse pony")
_COLOURS = _words("red blue green yellow black white brown purple orange grey pink golden")
_MONTHS = _words("january february march april may june july august september october november december")
_TONGUES = _words("french german spanish arabic hindi greek latin polish dutch welsh turkish irish")
_SOUNDS = _words("piano violin flute drum harp guitar trumpet organ cello horn lute fiddle")
_SPORTS = _words("tennis chess football rowing skating boxing golf hockey fencing archery rugby darts")
_DRINKS = _words("tea coffee milk water juice cider wine cocoa beer lemonade broth syrup")
_TOOLS = _words("hammer saw knife needle brush shovel rope lamp wheel hook ladder axe")


class Thing(NamedTuple):
    """Something that can be said of a person. questions, sayings: {who}, {what} stand for person and answer."""

    questions: tuple[str, ...]
    sayings: tuple[str, ...]
    answers: tuple[str, ...]


def _thing(questions: str, sayings: str, answers: tuple[str, ...]) -> Thing:
    return Thing(tuple(questions.split("; ")), tuple(sayings.split("; ")), answers)


THINGS = (
    _thing(
        "where does {who} live; in which city is {who} at home; what is the home of {who}",
        "{who} lives in {what}; {what} is the home of {who}; {who} has a house in {what}",
        _PLACES,
    ),
    _thing(
        "what does {who} eat; which food does {who} like; what is on the plate of {who}",
        "{who} eats {what}; {who} likes {what} for dinner; there is {what} on the plate of {who}",
        _FOODS,
    ),
    _thing(
        "which animal does {who} keep; what pet does {who} own; does {who} have a pet",
        "{who} keeps a {what}; {who} owns a {what}; the pet of {who} is a {what}",
        _PETS,
    ),
    _thing(
        "which colour does {who} prefer; what colour is the coat of {who}; what paint would {who} choose",
        "{who} prefers {what}; the coat of {who} is {what}; {who} would paint it {what}",
        _COLOURS,
    ),
    _thing(
        "when was {who} born; in which month is the birthday of {who}; when does {who} grow a year older",
        "{who} was born in {what}; the birthday of {who} is in {what}; {who} grows a year older in {what}",
        _MONTHS,
    ),
    _thing(
        "which language does {who} speak; what tongue does {who} use; how does {who} talk",
        "{who} speaks {what}; {who} talks in {what}; the tongue of {who} is {what}",
        _TONGUES,
    ),
    _thing(
        "which instrument does {who} play; what music does {who} make; what did {who} play at the concert",
        "{who} plays the {what}; {who} makes music on the {what}; at the concert {who} played the {what}",
        _SOUNDS,
    ),
    _thing(
        "which sport does {who} practise; what game does {who} win; how does {who} stay fit",
        "{who} practises {what}; {who} wins every game of {what}; {who} stays fit with {what}",
        _SPORTS,
    ),
    _thing(
        "what does {who} drink; what is in the cup of {who}; what does {who} order at the bar",
        "{who} drinks {what}; there is {what} in the cup of {who}; at the bar {who} orders {what}",
        _DRINKS,
    ),
    _thing(
        "which tool does {who} carry; what does {who} work with; what is in the box of {who}",
        "{who} carries a {what}; {who} works with a {what}; in the box of {who} lies a {what}",
        _TOOLS,
    ),
)


class Question(NamedTuple):
    """documents[0] answers it; then come those about the same person, those about the same thing, and others."""

    query: str
    documents: tuple[str, ...]


def is_held_out(name: str) -> bool:
    """Whether a made-up name is never seen in training: one in five."""
    return zlib.crc32(name.encode()) % 5 == 0


def question(numbers: random.Random, *, held_out: bool = False, others: int = 3) -> Question:
    """A question with its documents: one answer, and `others` of each of three kinds that are none."""
    who = _person(numbers, held_out)
    asked, *different = numbers.sample(THINGS, others + 1)
    strangers = _strangers(numbers, who, held_out, 2 * others)
    documents = [_said(numbers, asked, who)]
    documents += [_said(numbers, thing, who) for thing in different]
    documents += [_said(numbers, asked, stranger) for stranger in strangers[:others]]
    documents += [_said(numbers, numbers.choice(different), stranger) for stranger in strangers[others:]]
    return Question(_written(numbers, numbers.choice(asked.questions).format(who=who), "?"), tuple(documents))


def _said(numbers: random.Random, thing: Thing, who: str) -> str:
    saying = numbers.choice(thing.sayings).format(who=who, what=numbers.choice(thing.answers))
    return _written(numbers, saying, ".")


def _written(numbers: random.Random, text: str, end: str) -> str:
    """People write with and without capitals and stops."""
    text = text if numbers.random() < 0.3 else text[0].upper() + text[1:]
    return text if numbers.random() < 0.3 else text + end


def _person(numbers: random.Random, held_out: bool) -> str:
    if not held_out and numbers.random() < 0.4:
        return f"the {numbers.choice(ROLES)}"
    while True:
        name = numbers.choice(STARTS) + numbers.choice(ENDS)
        if is_held_out(name) == held_out:
            return name


def _strangers(numbers: random.Random, who: str, held_out: bool, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        stranger = _person(numbers, held_out)
        if stranger != who:
            found.append(stranger)
    return found


def vocabulary() -> list[str]:
    """Every word of the corpus, the parts that names are made of, and letters for all other words."""
    spelled = {
        word
        for thing in THINGS
        for text in (*thing.questions, *thing.sayings, *thing.answers)
        for word in text.replace("{who}", "the").replace("{what}", "the").split()
    }
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    parts = [f"##{part}" for part in (*ENDS, *letters)]
    return [*sorted(spelled | set(ROLES)), *STARTS, *parts, *letters, *".,;:?!'-"]
