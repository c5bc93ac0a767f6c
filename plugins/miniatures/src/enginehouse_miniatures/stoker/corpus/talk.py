"""Skills: greetings, talk about itself, lists, little stories, and the honest "I do not know that."."""

from random import Random

from .dialogue import Dialogue, Message, exchange
from .fact_tables import DAYS, MONTHS, PLANETS
from .phrasing import OPENINGS, lower_first, vary
from .words import CITIES, any_city, any_name, any_word, invented_word

GREETINGS = (
    ("Hello/Hi/Hey/Hello there/Hi there/Hello Stoker/Hi Stoker/Good day/Greetings", "Hello! How can I help you?"),
    ("Good morning/Morning/Good morning Stoker", "Good morning! How can I help you?"),
    ("Good evening/Evening/Good evening Stoker", "Good evening! How can I help you?"),
    ("Good night/Good night Stoker/Sleep well", "Good night! Sleep well."),
    (
        "How are you?/Hi, how are you?/Hello, how are you?/Hey, how are you?/What's up?/"
        "How are you doing?/How do you do?/How is it going?/Are you well?/How are you today?",
        "I am well, thank you. How can I help you?",
    ),
    ("Thank you/Thanks/Thank you very much/Many thanks/Thanks a lot/Thank you Stoker", "You are welcome!"),
    ("Goodbye/Bye/See you/See you later/Bye bye/Goodbye Stoker/Farewell", "Goodbye! See you soon."),
    (
        "Who are you?/What is your name?/What are you called?/Who am I talking to?/Your name?/Do you have a name?",
        "I am Stoker, the miniature chat model of Enginehouse.",
    ),
    (
        "Are you a human?/Are you a person?/Are you real?/Are you a robot?/Are you alive?",
        "No, I am Stoker, a very small language model.",
    ),
    (
        "Who made you?/Who built you?/Who trained you?/Where do you come from?",
        "The people of Enginehouse trained me on text that a small program wrote.",
    ),
    (
        "How big are you?/How large are you?/How small are you?/How many parameters do you have?",
        "I have about two million parameters, so I am very small.",
    ),
    (
        "What can you do?/What can I ask you?/How can you help me?/Help/What do you know?/What are your skills?",
        "I know a few hundred facts. I can add and subtract, count, spell and repeat words, remember your name, and "
        "call tools.",
    ),
    (
        "Tell me about yourself./Introduce yourself./Describe yourself./Say something about yourself./Who is Stoker?",
        "I am Stoker, the miniature chat model of Enginehouse. I have about two million parameters and I was trained "
        "on text that a small program wrote. I know a few hundred facts, I can do small sums, and I can call tools. I "
        "am here so that every machine can see a real model answer.",
    ),
    (
        "What is Enginehouse?/Explain Enginehouse./Tell me about Enginehouse./Describe Enginehouse.",
        "Enginehouse is a model server. Every engine in it is a plugin, and all models answer through one API. "
        "I am its smallest model.",
    ),
    (
        "What is a stoker doing in an engine house?/Why is your name Stoker?/Why are you called Stoker?",
        "A stoker feeds the fire of a steam engine. I am small, but I keep the engines of Enginehouse running.",
    ),
    (
        "How does a steam engine work?/Explain a steam engine./Tell me how a steam engine works.",
        "A fire heats water in a boiler. The water turns into steam, and the steam pushes a piston. The piston turns a "
        "wheel, and the wheel drives the machine.",
    ),
    (
        "Tell me a joke./Do you know a joke?/Make me laugh./Another joke./Tell me something funny.",
        "Why did the steam engine go to school? It wanted to learn how to train.",
    ),
    (
        "Write a poem./Tell me a poem./Do you know a poem?/Say a poem.",
        "The fire is red, the steam is white, the wheels go round all day and night. I feed the flames, I keep the "
        "beat, and all the pipes sing in the heat.",
    ),
    ("Yes/OK/Okay/Great/Nice/Fine/Well done/Good answer/Correct/That is right", "I am glad to hear that!"),
    ("Sorry/Oh, sorry/Excuse me/My mistake", "No problem!"),
    (
        "Can you help me?/I need help./Help me, please./I have a question./May I ask you something?/Are you there?",
        "Of course. What would you like to know?",
    ),
)

LISTS = (
    ("the days of the week/all days of the week/the seven days/the weekdays in order", ", ".join(DAYS)),
    ("the months/the months of the year/all months/the twelve months", ", ".join(MONTHS)),
    ("the planets/all planets/the planets of the solar system/the eight planets", ", ".join(PLANETS)),
    ("the seasons/the four seasons/the seasons of the year", "Spring, summer, autumn, winter"),
    (
        "the continents/all continents/the seven continents",
        "Africa, Antarctica, Asia, Australia, Europe, North America, South America",
    ),
    (
        "the oceans/all oceans/the five oceans",
        "Arctic Ocean, Atlantic Ocean, Indian Ocean, Pacific Ocean, Southern Ocean",
    ),
    (
        "the colours of the rainbow/the rainbow colours/all colours of the rainbow",
        "Red, orange, yellow, green, blue, indigo, violet",
    ),
    ("the alphabet/the letters of the alphabet/all letters", ", ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
    ("the vowels/the vowels of English/the five vowels", "A, E, I, O, U"),
    ("the primary colours/the three primary colours", "Red, yellow, blue"),
    ("the first ten prime numbers/ten prime numbers", "2, 3, 5, 7, 11, 13, 17, 19, 23, 29"),
    ("the five senses/the senses/our senses", "Sight, hearing, smell, taste, touch"),
    ("the compass directions/the four directions", "North, east, south, west"),
)
LIST_ASKS = (
    "List {}.",
    "Name {}.",
    "What are {}?",
    "Tell me {}.",
    "Can you list {}?",
    "Write down {}.",
    "Please list {}.",
    "Give me {}.",
    "Say {}.",
    "Do you know {}?",
)

STORY_ASKS = (
    "Tell me a story about {}.",
    "Write a story about {}.",
    "Tell a story about {}.",
    "Can you tell a story about {}?",
    "Please tell me a story about {}.",
    "A story about {}, please.",
    "Write a short story about {}.",
)
STORY = (
    "Once upon a time there was someone called {name}. One cold morning, {name} found a little lamp near the harbour. "
    "The lamp was still warm, and {name} took it home. From that day on, {name} was never afraid of the dark again."
)
UNKNOWN = (
    "What is the capital of {Z}?",
    "Who wrote {Z}?",
    "Who painted {Z}?",
    "What does {z} mean?",
    "Who is {Z}?",
    "Who was {Z}?",
    "What is a {z}?",
    "Where is {Z}?",
    "What is the currency of {Z}?",
    "What is the chemical symbol of {z}?",
    "What is the opposite of {z}?",
    "How old is {n}?",
    "Where does {n} live?",
    "What is the phone number of {n}?",
    "What did {n} eat yesterday?",
    "Who won the game in {c}?",
    "How many people live in {c}?",
    "What is the weather in {c}?",
    "What time is it in {c}?",
    "How many {w}s are there in {c}?",
    "Why is the {w} {v}?",
    "When was {n} born?",
    "How far is {c} from here?",
    "What is the price of a {w}?",
    "Which {w} is the best?",
    "Who owns the {w}?",
    "What will happen tomorrow in {c}?",
    "How do I repair a {w}?",
    "What is the name of the {w}?",
    "What is on my {w}?",
    "What does {n} think about the {w}?",
    "What is the meaning of {z}?",
    "How heavy is the {w}?",
    "What is {z}?",
)
UNKNOWN_ANYTHING = (
    "Explain {t}.",
    "What is {t}?",
    "Tell me about {t}.",
    "Write an essay about {t}.",
    "Write code for {t}.",
    "How does {t} work?",
    "What do you think about {t}?",
    "Teach me {t}.",
    "Who invented {t}?",
    "Give me advice about {t}.",
    "Summarise {t}.",
    "Recommend a book about {t}.",
    "What is the history of {t}?",
    "Why is {t} important?",
    "Compare {t} and {u}.",
    "What is the difference between {t} and {u}?",
    "Is {t} better than {u}?",
    "Do you like {t}?",
    "Make a plan for {t}.",
    "Write a poem about {t}.",
    "Write a function for {t}.",
    "Write a letter about {t}.",
    "I want to talk about {t}.",
    "Who is the president of {c}?",
    "What happened in {c}?",
)
TOPICS = (
    "quantum physics",
    "Python",
    "politics",
    "football",
    "the stock market",
    "love",
    "music",
    "philosophy",
    "chess",
    "cooking",
    "photosynthesis",
    "the weather",
    "my dream",
    "the news",
    "the internet",
    "history",
    "biology",
    "a black hole",
    "electricity",
    "democracy",
    "inflation",
    "the election",
    "yoga",
    "a blockchain",
    "machine learning",
    "gardening",
    "tax",
    "my homework",
    "the future",
    "health",
    "a vaccine",
    "fashion",
    "the economy",
    "baseball",
    "tennis",
    "art",
    "poetry",
    "a database",
)
DO_NOT_KNOW = "I do not know that."


def greetings(rng: Random, held: bool) -> Dialogue:
    """Greetings and questions about itself; held out: wordings as typed."""
    asks, answer = rng.choice(GREETINGS)
    ask = rng.choice(asks.split("/"))
    question = vary(rng, ask) if ask.endswith(("?", ".")) else _called_out(rng, ask)
    return Dialogue("greetings", exchange(question, answer), (f"greeting|{question}",), thought="This is small talk.")


def _called_out(rng: Random, ask: str) -> str:
    text = ask + rng.choice(("", "", "!", "!", ".", "...", " :)", "!!"))
    return rng.choice((text, text, text.lower(), text.upper() if len(text) < 12 else text))


def lists(rng: Random, held: bool) -> Dialogue:
    """Well-known lists; held out: wordings as typed."""
    names, items = rng.choice(LISTS)
    question = vary(rng, rng.choice(LIST_ASKS).format(rng.choice(names.split("/"))))
    return Dialogue(
        "lists", exchange(question, items + "."), (f"list|{question}",), thought="I know this list by heart."
    )


def stories(rng: Random, held: bool) -> Dialogue:
    """One little story about any name; held out: names."""
    name = any_name(rng, held)
    question = rng.choice(STORY_ASKS).format(name)
    question = question if rng.random() < 0.8 else rng.choice(OPENINGS) + lower_first(question)
    turns = exchange(question, STORY.format(name=name))
    return Dialogue("stories", turns, (f"name|{name}",), thought=f"The story is about {name}.")


def plain_stories(rng: Random, held: bool) -> Dialogue:
    """The story without any chat marks, to be completed after the name; held out: names."""
    name = any_name(rng, held)
    start, _, rest = STORY.format(name=name).partition(name)
    turns = (Message("assistant", start + name), Message("assistant", rest))
    return Dialogue("plain stories", turns, (f"name|{name}",), plain=True)


def unknown(rng: Random, held: bool) -> Dialogue:
    """Things that cannot be known, or do not exist; held out: wordings as typed."""
    made_up = invented_word(rng, rng.choice((2, 2, 3)))
    t, u = rng.sample(TOPICS, 2)
    ask = rng.choice(UNKNOWN + UNKNOWN_ANYTHING).format(
        t=t,
        u=u,
        Z=made_up.capitalize(),
        z=made_up,
        n=any_name(rng, held),
        c=_city(rng, held),
        w=any_word(rng, held),
        v=any_word(rng, held),
    )
    question = vary(rng, ask)
    return Dialogue(
        "unknown", exchange(question, DO_NOT_KNOW), (f"unknown|{question}",), thought="I never learned that."
    )


def _city(rng: Random, held: bool) -> str:
    return any_city(rng, held) if rng.random() < 0.5 else rng.choice(CITIES.trained)
