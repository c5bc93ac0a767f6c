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


def lookup_kind(rng: Random) -> ToolKind:
    """A tool made up on the spot that finds one attribute of one thing, such as `get_population(country)`."""
    attribute = rng.choice(ATTRIBUTES) if rng.random() < 0.6 else invented_word(rng, 2)
    name = attribute.replace(" ", "_")
    thing = (
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
        invented_word(rng, 1),
    )

    def results(chance: Random, values: Values) -> tuple[str, str]:
        value = chance.choice((chance.randrange(10000), any_word(chance, False), any_name(chance, False)))
        key = chance.choice((name, "result", "value", "answer"))
        return json_or_text(chance, key, value), f"The {attribute} of {values[0]} is {value}."

    return ToolKind(
        (
            f"get_{name}",
            f"{name}_of",
            f"find_{name}",
            f"lookup_{name}",
            name,
            f"fetch_{name}",
            f"show_{name}",
            f"search_{name}",
            f"{name}_lookup",
            f"list_{name}",
        ),
        (
            f"Get the {attribute}",
            f"Finds the {attribute} of something.",
            f"The {attribute} of a thing",
            f"Look up the {attribute}",
            f"Search the {attribute} of somebody",
            f"Get {attribute} by name",
            "",
        ),
        (("string", thing),),
        (
            f"What is the {attribute} of {{0}}?",
            f"Tell me the {attribute} of {{0}}.",
            f"Give me the {attribute} of {{0}}.",
            f"Find the {attribute} of {{0}}.",
            f"Do you know the {attribute} of {{0}}?",
            f"Which {attribute} has {{0}}?",
        ),
        _thing,
        results,
    )
