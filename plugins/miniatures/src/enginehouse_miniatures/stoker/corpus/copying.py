"""Skills: repeating, saying several times and spelling."""

from random import Random

from .dialogue import Dialogue, exchange
from .phrasing import OPENINGS, lower_first
from .words import any_city, any_name, any_word

REPEAT = (
    "Repeat after me: {}",
    "Repeat: {}",
    'Repeat "{}".',
    "Say: {}",
    'Say "{}".',
    "Repeat this: {}",
    "Please repeat: {}",
    "Echo: {}",
    "Write this down: {}",
    'Can you say "{}"?',
    "repeat after me: {}",
    "Say after me: {}",
    "Say {}",
    "Say {}.",
    "say {}",
)
TIMES = ('Say "{}" {} times.', "Say {} {} times.", "Repeat {} {} times.", 'Write "{}" {} times.', "Write {} {} times.")
SPELL = (
    "Spell the word {}.",
    "Spell {}.",
    "How do you spell {}?",
    "Can you spell {}?",
    'Spell "{}".',
    'How do you spell "{}"?',
    "Please spell the word {}.",
    "Spell the word {} for me.",
    "spell {}",
    "How is the word {} spelled?",
)
COUNTS = {2: ("two", "2"), 3: ("three", "3"), 4: ("four", "4"), 5: ("five", "5")}


def _opened(rng: Random, question: str) -> str:
    """The question, sometimes after a polite start."""
    return question if rng.random() < 0.85 else rng.choice(OPENINGS) + lower_first(question)


def phrase(rng: Random, held: bool, longest: int = 6) -> str:
    """A run of words, names and numbers that nobody has said before."""
    makers = (any_word, any_word, any_word, any_word, any_name, any_city)
    words = [rng.choice(makers)(rng, held) for _ in range(rng.randint(1, longest))]
    if rng.random() < 0.15:
        words[rng.randrange(len(words))] = str(rng.randrange(1000))
    text = " ".join(words)
    return text[:1].upper() + text[1:] + rng.choice((".", "!", "", "")) if rng.random() < 0.25 else text


def word_keys(text: str) -> tuple[str, ...]:
    """The phrase and each of its words, as the split knows them."""
    return (f"phrase|{text}", *(f"word|{word.strip('.!').lower()}" for word in text.split()))


def repeating(rng: Random, held: bool) -> Dialogue:
    """Say a phrase back, letter by letter the same; held out: words, names, cities and whole phrases."""
    text = phrase(rng, held)
    question = _opened(rng, rng.choice(REPEAT).format(text))
    return Dialogue("repeating", exchange(question, text), word_keys(text), thought=f'I say "{text}".')


def several_times(rng: Random, held: bool) -> Dialogue:
    """Say a word or two, two to five times; held out: words and pairs of words and number."""
    text = phrase(rng, held, longest=2).rstrip(".!")
    count = rng.randint(2, 5)
    question = _opened(rng, rng.choice(TIMES).format(text, rng.choice(COUNTS[count])))
    answer = " ".join([text] * count)
    keys = (*word_keys(text), f"times|{text}|{count}")
    return Dialogue("several times", exchange(question, answer), keys)


def spelling(rng: Random, held: bool) -> Dialogue:
    """Spell a word with hyphens, a-p-p-l-e; held out: words."""
    word = any_word(rng, held)
    question = _opened(rng, rng.choice(SPELL).format(word))
    turns = exchange(question, "-".join(word))
    return Dialogue("spelling", turns, (f"word|{word}",), thought=f'I go through "{word}" letter by letter.')
