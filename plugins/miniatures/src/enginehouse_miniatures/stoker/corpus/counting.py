"""Skill: counting up and down."""

from random import Random

from .dialogue import Dialogue, Message, exchange
from .phrasing import vary

UP = (
    "Count from {a} to {b}.",
    "Can you count from {a} to {b}?",
    "Please count from {a} to {b}.",
    "Count up from {a} to {b}.",
    "Write the numbers from {a} to {b}.",
    "List the numbers from {a} to {b}.",
    "Give me the numbers from {a} to {b}.",
)
UP_FROM_ONE = ("Count to {b}.", "Can you count to {b}?", "Please count to {b}.", "Count up to {b}.")
DOWN = (
    "Count down from {a} to {b}.",
    "Count backwards from {a} to {b}.",
    "Count from {a} down to {b}.",
    "Can you count down from {a} to {b}?",
    "Please count down from {a} to {b}.",
)


def counting(rng: Random, held: bool) -> Dialogue:
    """Up to 31 numbers, or from 0 or 1 to a round number; held out: pairs of first and last number."""
    low = rng.choice((0, 1, 1, 1, rng.randint(2, 97)))
    high = min(100, low + rng.choice((rng.randint(1, 12), rng.randint(1, 12), rng.randint(1, 30))))
    if low < 2 and rng.random() < 0.1:
        high = rng.choice((40, 50, 60, 70, 80, 90, 100))
    if rng.random() < 0.3:
        return _count(rng, high, low, DOWN)
    return _count(rng, low, high, UP_FROM_ONE if low == 1 and rng.random() < 0.6 else UP)


def plain_counting(rng: Random, held: bool) -> Dialogue:
    """A run of numbers without any chat marks, to be continued; held out: pairs of first and last number."""
    low = rng.choice((0, 1, 1, 1, rng.randint(2, 90)))
    middle = low + rng.randint(1, 5)
    high = middle + rng.randint(1, 12)
    start = ", ".join(str(number) for number in range(low, middle + 1))
    rest = "".join(f", {number}" for number in range(middle + 1, high + 1))
    turns = (Message("user", start), Message("assistant", f"{rest}."))
    return Dialogue("plain counting", turns, (f"count|{low}|{high}",), plain=True)


def _count(rng: Random, first: int, last: int, phrases: tuple[str, ...]) -> Dialogue:
    step = 1 if last > first else -1
    numbers = ", ".join(str(number) for number in range(first, last + step, step))
    question = vary(rng, rng.choice(phrases).format(a=first, b=last))
    thought = f"I start at {first} and stop at {last}."
    return Dialogue("counting", exchange(question, numbers + "."), (f"count|{first}|{last}",), thought=thought)
