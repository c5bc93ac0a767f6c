"""The many ways in which people type the same question."""

from random import Random

OPENINGS = (
    "Please tell me: ",
    "Tell me: ",
    "Can you tell me: ",
    "Hey, ",
    "Hi! ",
    "Question: ",
    "Quick question: ",
    "I want to know: ",
    "Do you know this? ",
    "Please answer: ",
    "Hello, ",
    "OK, ",
    "So, ",
    "And ",
    "Now, ",
)
CLOSINGS = (" Please.", " Thanks.", " Thank you.", " Please tell me.")


def lower_first(text: str) -> str:
    """The text with its first letter small, unless it begins with a name such as I or a capital word."""
    first = text.split(" ", 1)[0].strip("'s,.?")
    return text[:1].lower() + text[1:] if first in SMALL_STARTS else text


SMALL_STARTS = frozenset(
    (
        "What",
        "Which",
        "Who",
        "Where",
        "When",
        "How",
        "Name",
        "Is",
        "Do",
        "Does",
        "Can",
        "Could",
        "Say",
        "Spell",
        "Count",
        "Add",
        "Subtract",
        "Calculate",
        "Repeat",
        "Write",
        "Tell",
        "List",
        "Give",
        "In",
        "Of",
        "The",
        "A",
        "An",
        "Please",
        "My",
        "Convert",
        "Turn",
        "Set",
        "Search",
        "Find",
        "Look",
        "Translate",
        "Send",
        "Play",
    )
)


def vary(rng: Random, text: str, lower: bool = True) -> str:
    """A question as another person would type it; `lower` allows all-small spelling."""
    if text.startswith(("What is ", "Who is ")) and rng.random() < 0.08:
        text = text.replace(" is ", "'s ", 1)
    roll = rng.random()
    if roll < 0.5:
        return text
    if roll < 0.62:
        return text.rstrip("?.")
    if roll < 0.74:
        return text.lower() if lower else lower_first(text)
    if roll < 0.8:
        return text.lower().rstrip("?.") if lower else lower_first(text).rstrip("?.")
    if roll < 0.92:
        return rng.choice(OPENINGS) + lower_first(text)
    return text + rng.choice(CLOSINGS)
