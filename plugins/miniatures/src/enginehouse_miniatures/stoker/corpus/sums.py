"""Skill: addition and subtraction of numbers up to two digits."""

from dataclasses import replace
from random import Random

from .dialogue import Dialogue, Message, exchange
from .phrasing import vary

PLUS = (
    "What is {a} + {b}?",
    "What is {a} plus {b}?",
    "{a} + {b}",
    "{a}+{b}",
    "{a} + {b} = ?",
    "{a}+{b}=?",
    "Add {a} and {b}.",
    "How much is {a} plus {b}?",
    "How much is {a} + {b}?",
    "Calculate {a} + {b}.",
    "What is the sum of {a} and {b}?",
    "{a} plus {b}",
    "Can you add {a} and {b}?",
    "{a} and {b} make?",
    "Work out {a} + {b}.",
)
MINUS = (
    "What is {a} - {b}?",
    "What is {a} minus {b}?",
    "{a} - {b}",
    "{a}-{b}",
    "{a} - {b} = ?",
    "{a}-{b}=?",
    "Subtract {b} from {a}.",
    "How much is {a} minus {b}?",
    "How much is {a} - {b}?",
    "Calculate {a} - {b}.",
    "{a} minus {b}",
    "Take {b} from {a}.",
    "What is {a} take away {b}?",
    "Work out {a} - {b}.",
)


def _numbers(rng: Random) -> tuple[int, int]:
    top = rng.choice((10, 20, 100, 100, 100, 100))
    return rng.randrange(top), rng.randrange(100 if rng.random() < 0.8 else 10)


def problem(rng: Random) -> tuple[int, str, int]:
    """Two numbers from 0 to 99 and a sign; about one subtraction in ten falls below zero."""
    a, b = _numbers(rng)
    if rng.random() < 0.5:
        return (a, "+", b) if rng.random() < 0.5 else (b, "+", a)
    if a < b and rng.random() < 0.8:
        a, b = b, a
    return a, "-", b


def solved(a: int, sign: str, b: int) -> str:
    """The problem with its result, such as `47 + 38 = 85`."""
    return f"{a} {sign} {b} = {a + b if sign == '+' else a - b}"


def key_of(a: int, sign: str, b: int) -> str:
    """The combination in the split; both orders of an addition are one."""
    low, high = (min(a, b), max(a, b)) if sign == "+" else (a, b)
    return f"sum|{low}{sign}{high}"


def steps(a: int, sign: str, b: int) -> str:
    """The way to the result, ones first, as one would write it under a column sum."""
    if sign == "-" and a < b:
        return f"{a} is less than {b}. {solved(b, sign, a)}, so the result is -{b - a}."
    tens_a, ones_a, tens_b, ones_b = a // 10, a % 10, b // 10, b % 10
    if sign == "+":
        carry = int(ones_a + ones_b > 9)
        lines = [f"Ones: {ones_a} + {ones_b} = {ones_a + ones_b}."]
        lines.append(f"Tens: {tens_a} + {tens_b}{' + 1' * carry} = {tens_a + tens_b + carry}.")
    else:
        borrow = int(ones_a < ones_b)
        lines = [f"Ones: {ones_a + 10 * borrow} - {ones_b} = {ones_a + 10 * borrow - ones_b}."]
        lines.append(f"Tens: {tens_a}{' - 1' * borrow} - {tens_b} = {tens_a - borrow - tens_b}.")
    return " ".join(lines)


def sums(rng: Random, held: bool) -> Dialogue:
    """One problem, asked in one of many ways; held out: pairs of numbers."""
    a, sign, b = problem(rng)
    question = rng.choice(PLUS if sign == "+" else MINUS).format(a=a, b=b)
    turns = exchange(vary(rng, question), solved(a, sign, b) + ".")
    return Dialogue("sums", turns, (key_of(a, sign, b),), thought=steps(a, sign, b))


def thoughtful_sums(rng: Random, held: bool) -> Dialogue:
    """One problem with its way to the result."""
    return replace(sums(rng, held), thinking=True)


def sum_drill(rng: Random, held: bool) -> Dialogue:
    """Many solved problems in one plain text, only the results learned: the densest way to practise."""
    problems = [problem(rng) for _ in range(rng.randint(3, 12))]
    turns: tuple[Message, ...] = ()
    for a, sign, b in problems:
        start, _, result = solved(a, sign, b).rpartition(" ")
        turns += (Message("user", start), Message("assistant", f" {result}\n"))
    return Dialogue("sum drill", turns, tuple(key_of(*each) for each in problems), plain=True)
