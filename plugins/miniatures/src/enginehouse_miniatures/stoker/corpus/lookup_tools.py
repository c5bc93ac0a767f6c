"""Tools made up on the spot, so that Stoker cannot know them and has to read the list."""

from random import Random

from .tool_kind import ToolKind, Values, json_or_text
from .words import any_city, any_name, any_word, invented_word

ATTRIBUTES = (
    "orders",
    "files",
    "tasks",
    "events",
    "friends",
    "bill",
    "schedule",
    "population",
    "area",
    "height",
    "price",
    "age",
    "birthday",
    "phone number",
    "address",
    "status",
    "size",
    "weight",
    "colour",
    "owner",
    "score",
    "length",
    "speed",
    "capital",
    "name",
    "balance",
    "stock",
    "rating",
    "email",
    "number",
    "level",
    "distance",
    "salary",
    "author",
    "title",
    "date",
    "mayor",
)


def _thing(rng: Random, held: bool) -> tuple[str]:
    maker = rng.choice((any_city, any_name, any_word))
    return (maker(rng, held),)


NAMES = (
    "get_{}",
    "{}_of",
    "find_{}",
    "lookup_{}",
    "{}",
    "fetch_{}",
    "show_{}",
    "search_{}",
    "{}_lookup",
    "list_{}",
)
DESCRIPTIONS = (
    "Get the {}",
    "Finds the {} of something.",
    "The {} of a thing",
    "Look up the {}",
    "Search the {} of somebody",
    "Get {} by name",
    "",
)
PARAMETERS = (
    "country",
    "city",
    "customer",
    "query",
    "user_id",
    "item",
    "name",
    "person",
    "id",
    "place",
    "thing",
    "product",
    "object",
    "of",
    "user",
    "key",
    "word",
)
ASKS = (
    "What is the {} of {{0}}?",
    "Tell me the {} of {{0}}.",
    "Give me the {} of {{0}}.",
    "Find the {} of {{0}}.",
    "Do you know the {} of {{0}}?",
    "Which {} has {{0}}?",
)


def _filled(patterns: tuple[str, ...], word: str) -> tuple[str, ...]:
    return tuple(pattern.format(word) for pattern in patterns)


def lookup_kind(rng: Random) -> ToolKind:
    """A tool made up on the spot that finds one attribute of one thing, such as `get_population(country)`."""
    attribute = rng.choice(ATTRIBUTES) if rng.random() < 0.6 else invented_word(rng, 2)
    name = attribute.replace(" ", "_")
    thing = (*PARAMETERS, invented_word(rng, 1))

    def results(chance: Random, values: Values) -> tuple[str, str]:
        value = chance.choice((chance.randrange(10000), any_word(chance, False), any_name(chance, False)))
        key = chance.choice((name, "result", "value", "answer"))
        return json_or_text(chance, key, value), f"The {attribute} of {values[0]} is {value}."

    descriptions, asks = _filled(DESCRIPTIONS, attribute), _filled(ASKS, attribute)
    return ToolKind(_filled(NAMES, name), descriptions, (("string", thing),), asks, _thing, results)
