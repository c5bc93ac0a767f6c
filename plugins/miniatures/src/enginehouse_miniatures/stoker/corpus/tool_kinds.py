"""The tools Stoker may meet: how each is described, asked for, called, and what comes of its result.

Names and parameter names vary on purpose: the model has to read them from the list, not to know them.
"""

from random import Random

from .copying import phrase
from .tool_kind import ToolKind, Values, json_or_text
from .words import any_city, any_name, invented_word

SKIES = ("sunny", "cloudy", "rainy", "windy", "snowy", "clear", "foggy", "stormy")


def _weather(rng: Random, values: Values) -> tuple[str, str]:
    degrees, sky, city = rng.randint(-20, 42), rng.choice(SKIES), values[0]
    warm = rng.choice(("temperature", "temp", "temperature_c", "degrees", "temp_c"))
    look = rng.choice(("sky", "condition", "conditions", "weather", "description"))
    pairs = [f'"{warm}": {degrees}', f'"{look}": "{sky}"']
    rng.shuffle(pairs)
    if rng.random() < 0.4:
        pairs.insert(0, f'"{rng.choice(("city", "location", "place"))}": "{city}"')
    if rng.random() < 0.7:
        return "{" + ", ".join(pairs) + "}", f"It is {degrees} degrees and {sky} in {city}."
    text = rng.choice(
        (f"{degrees} degrees, {sky}", f"{sky}, {degrees} C", f"{sky} and {degrees} degrees", f"{degrees} C")
    )
    return text, f"The weather in {city}: {text}."


def _clock(rng: Random, values: Values) -> tuple[str, str]:
    time = f"{rng.randrange(24):02}:{rng.randrange(60):02}"
    return json_or_text(rng, rng.choice(("time", "local_time", "now")), time), f"It is {time} in {values[0]}."


def _number(rng: Random, values: Values) -> tuple[str, str]:
    number = rng.choice((rng.randrange(100), rng.randrange(10000), round(rng.random() * 100, 2)))
    key = rng.choice(("result", "answer", "value", "sum", "output", "number"))
    return json_or_text(rng, key, number), f"The result is {number}."


def _money(rng: Random, values: Values) -> tuple[str, str]:
    number = round(rng.random() * rng.choice((10, 100, 1000)), 2)
    key = rng.choice(("result", "amount", "converted", "value"))
    return json_or_text(rng, key, number), f"{values[0]} {values[1]} is {number} {values[2]}."


def _found(rng: Random, values: Values) -> tuple[str, str]:
    text = phrase(rng, False).rstrip(".!")
    return json_or_text(rng, rng.choice(("result", "text", "found", "summary")), text), f"I found this: {text}."


def _translated(rng: Random, values: Values) -> tuple[str, str]:
    text = " ".join(invented_word(rng, 2) for _ in range(rng.randint(1, 4)))
    return json_or_text(rng, rng.choice(("translation", "text", "result")), text), f"In {values[1]}: {text}"


def _done(rng: Random, values: Values) -> tuple[str, str]:
    return json_or_text(
        rng, rng.choice(("status", "result", "state")), rng.choice(("ok", "done", "success", "sent"))
    ), "Done."


LANGUAGES = (
    "French",
    "German",
    "Spanish",
    "Italian",
    "Dutch",
    "Swedish",
    "Polish",
    "Greek",
    "Japanese",
    "Latin",
    "Turkish",
)
MONEY = (
    "USD",
    "EUR",
    "GBP",
    "JPY",
    "CHF",
    "SEK",
    "NOK",
    "DKK",
    "PLN",
    "INR",
    "CNY",
    "BRL",
    "AUD",
    "CAD",
    "euros",
    "dollars",
    "pounds",
    "yen",
    "francs",
    "kronor",
    "rupees",
    "pesos",
)
ROOMS = ("kitchen", "garden", "bathroom", "bedroom", "hall", "office", "cellar", "garage", "living room")
DEVICES = ("lamp", "light", "heater", "radio", "fan", "television", "oven", "pump", "alarm")


def _two_numbers(rng: Random, held: bool) -> tuple[int, int]:
    return rng.randrange(10 ** rng.randint(1, 4)), rng.randrange(10 ** rng.randint(1, 4))


def _exchange_order(rng: Random, held: bool) -> tuple[int, str, str]:
    first, second = rng.sample(MONEY, 2)
    return rng.choice((rng.randint(1, 100), rng.randint(1, 5000))), first, second


def _expression(rng: Random, held: bool) -> tuple[str]:
    a, b = _two_numbers(rng, held)
    text = f"{a} {rng.choice('+-*/')} {b}"
    return (text if rng.random() < 0.7 else f"{text} {rng.choice('+-*/')} {rng.randrange(100)}",)


def _adding(name: str, verb: str, *asks: str) -> ToolKind:
    pairs = (
        ("integer", ("a", "x", "first", "left", "number1", "m")),
        ("integer", ("b", "y", "second", "right", "number2", "n")),
    )
    descriptions = (f"{verb} two numbers", f"{verb}s two numbers.", f"{verb} two integers", f"{verb} a and b")
    names = (name, f"{name}_numbers", f"calc_{name}", f"{name}_two_numbers", f"do_{name}")
    return ToolKind(names, descriptions, pairs, asks, _two_numbers, _number)


KINDS = (
    ToolKind(
        (
            "get_weather",
            "weather",
            "current_weather",
            "weather_in",
            "get_current_weather",
            "lookup_weather",
            "fetch_weather",
        ),
        (
            "Get the weather of a city",
            "The current weather in a city.",
            "Weather now",
            "Tells the weather in a place",
            "Get the current weather for a location",
            "",
        ),
        (("string", ("city", "location", "place", "town", "where", "city_name")),),
        (
            "What is the weather in {0}?",
            "How is the weather in {0}?",
            "What's the weather like in {0}?",
            "Weather in {0}?",
            "Is it raining in {0}?",
            "Is it warm in {0}?",
            "Tell me the weather in {0}.",
            "How warm is it in {0}?",
            "What is the temperature in {0}?",
            "What is the weather in {0} today?",
            "Do I need an umbrella in {0}?",
            "What's the weather in {0}?",
            "What is the weather like in {0}?",
            "What is the weather like in {0} today?",
            "What's the temperature in {0} right now?",
            "Please check the weather in {0}.",
            "How's the weather in {0}?",
        ),
        lambda rng, held: (any_city(rng, held),),
        _weather,
        (("unit", "string"), ("units", "string"), ("days", "integer"), ("format", "string"), ("language", "string")),
    ),
    ToolKind(
        ("get_time", "time", "current_time", "time_in", "get_current_time", "clock", "local_time"),
        ("Get the time in a city", "The current time in a city.", "Local time of a place", "Tells what time it is", ""),
        (("string", ("city", "location", "place", "town", "where", "zone")),),
        (
            "What time is it in {0}?",
            "What is the time in {0}?",
            "How late is it in {0}?",
            "Tell me the time in {0}.",
            "Time in {0}?",
            "What is the local time in {0}?",
            "What time is it now in {0}?",
        ),
        lambda rng, held: (any_city(rng, held),),
        _clock,
    ),
    _adding(
        "add",
        "Add",
        "What is {0} + {1}?",
        "Add {0} and {1}.",
        "{0} + {1}",
        "What is {0} plus {1}?",
        "How much is {0} + {1}?",
    ),
    _adding(
        "multiply",
        "Multiply",
        "What is {0} times {1}?",
        "Multiply {0} by {1}.",
        "{0} * {1}",
        "How much is {0} times {1}?",
        "What is {0} * {1}?",
    ),
    _adding(
        "subtract",
        "Subtract",
        "What is {0} - {1}?",
        "What is {0} minus {1}?",
        "{0} - {1}",
        "How much is {0} minus {1}?",
    ),
    ToolKind(
        ("calculator", "calculate", "calc", "compute", "evaluate", "math"),
        (
            "Calculate an expression",
            "Evaluates a math expression.",
            "A calculator",
            "Do arithmetic",
            "Compute the value of a formula",
        ),
        (("string", ("expression", "formula", "text", "input", "query")),),
        ("What is {0}?", "Calculate {0}.", "How much is {0}?", "Compute {0}.", "{0}", "Work out {0}.", "{0} = ?"),
        _expression,
        _number,
    ),
    ToolKind(
        ("convert_currency", "convert", "exchange", "currency_converter", "convert_money", "exchange_money"),
        (
            "Convert money between currencies",
            "Converts an amount from one currency to another.",
            "Currency converter",
            "Exchange money",
        ),
        (
            ("number", ("amount", "value", "sum", "quantity")),
            ("string", ("from", "from_currency", "source", "base")),
            ("string", ("to", "to_currency", "target", "into")),
        ),
        (
            "Convert {0} {1} to {2}.",
            "How much is {0} {1} in {2}?",
            "What is {0} {1} in {2}?",
            "Change {0} {1} into {2}.",
            "Convert {0} {1} into {2}.",
            "I have {0} {1}. How much is that in {2}?",
        ),
        _exchange_order,
        _money,
    ),
    ToolKind(
        ("search", "web_search", "search_web", "find", "lookup", "search_documents", "look_up"),
        ("Search the web", "Searches for a text.", "Find information", "Look something up", "Search in the documents"),
        (("string", ("query", "q", "text", "term", "keywords", "question")),),
        (
            "Search for {0}.",
            "Search the web for {0}.",
            "Look up {0}.",
            "Find {0}.",
            "Please search for {0}.",
            "Search: {0}",
            "Find information about {0}.",
            "Can you search for {0}?",
        ),
        lambda rng, held: (phrase(rng, held, 4).rstrip(".!"),),
        _found,
    ),
    ToolKind(
        ("translate", "translate_text", "translator", "translation"),
        ("Translate a text", "Translates text into a language.", "Translate into another language", ""),
        (
            ("string", ("text", "phrase", "sentence", "input")),
            ("string", ("language", "to", "target", "target_language")),
        ),
        (
            'Translate "{0}" into {1}.',
            'How do you say "{0}" in {1}?',
            'What is "{0}" in {1}?',
            "Translate {0} into {1}.",
            'Say "{0}" in {1}.',
        ),
        lambda rng, held: (phrase(rng, held, 4).rstrip(".!"), rng.choice(LANGUAGES)),
        _translated,
    ),
    ToolKind(
        ("send_message", "send_email", "message", "write_message", "notify", "send_text"),
        ("Send a message to a person", "Sends a text to someone.", "Send a text message", "Write to somebody"),
        (
            ("string", ("to", "name", "person", "recipient", "receiver")),
            ("string", ("text", "message", "content", "body")),
        ),
        (
            "Send a message to {0}: {1}",
            "Tell {0}: {1}",
            'Send "{1}" to {0}.',
            "Write to {0}: {1}",
            'Write "{1}" to {0}.',
        ),
        lambda rng, held: (any_name(rng, held), phrase(rng, held, 5).rstrip(".!")),
        _done,
    ),
    ToolKind(
        ("set_timer", "timer", "start_timer", "set_alarm_in", "countdown"),
        ("Set a timer", "Starts a timer for some minutes.", "Timer in minutes", "Start a countdown"),
        (("integer", ("minutes", "duration", "time", "length")),),
        (
            "Set a timer for {0} minutes.",
            "Start a timer of {0} minutes.",
            "Wake me in {0} minutes.",
            "Timer for {0} minutes.",
            "Remind me in {0} minutes.",
        ),
        lambda rng, held: (rng.randint(1, 120),),
        _done,
    ),
    ToolKind(
        ("turn_on", "switch_on", "activate", "device_on", "start_device"),
        ("Turn on a device in a room", "Switches something on.", "Switch on a device", "Turn a device on"),
        (("string", ("device", "thing", "item", "name")), ("string", ("room", "place", "where", "location"))),
        (
            "Turn on the {0} in the {1}.",
            "Switch on the {0} in the {1}.",
            "Please turn on the {0} in the {1}.",
            "Turn the {0} in the {1} on.",
            "I need the {0} in the {1} on.",
        ),
        lambda rng, held: (rng.choice(DEVICES), rng.choice(ROOMS)),
        _done,
    ),
    ToolKind(
        ("random_number", "roll", "random", "pick_number", "get_random_number", "dice"),
        ("Give a random number", "A random number between two numbers.", "Pick a number by chance"),
        (("integer", ("min", "low", "from", "start")), ("integer", ("max", "high", "to", "end"))),
        (
            "Give me a random number between {0} and {1}.",
            "Pick a number from {0} to {1}.",
            "A random number from {0} to {1}.",
            "Random number between {0} and {1}?",
        ),
        lambda rng, held: (rng.randrange(20), rng.randint(20, 1000)),
        _number,
    ),
    ToolKind(
        ("play_music", "play", "play_song", "music", "start_song"),
        ("Play a song", "Plays music.", "Play music by title", "Start a song"),
        (("string", ("title", "song", "name", "track")),),
        ('Play "{0}".', "Play the song {0}.", "I want to hear {0}.", "Play {0}.", 'Can you play "{0}"?'),
        lambda rng, held: (phrase(rng, held, 3).rstrip(".!"),),
        _done,
    ),
)
