# ruff: noqa: SIM905 - word lists read better as one string
"""Names, cities and words that the skills combine."""

from random import Random

from .split import Pool

NAMES = Pool(
    "name",
    (
        "Ada Alan Alba Alex Alice Amir Amy Ana Anders Andrea Anna Anton Aria Arjun Astrid Aya Ben Bella Bob Boris "
        "Bruno Carla Carlos Carmen Chen Chloe Clara Claire Daan Dana Daniel Daria David Diana Diego Dmitri Elena "
        "Elias Elif Ella Elsa Emil Emily Emma Eric Erik Esra Eva Fatima Felix Femi Fiona Finn Frank Freya George "
        "Gina Grace Greta Gustav Hana Hanna Hans Harry Hassan Heidi Helen Henry Hiro Hugo Ian Ibrahim Ida Igor "
        "Imani Ines Ingrid Irene Iris Isaac Ivan Ivy Jack Jakob James Jan Jana Jane Jasper Javier Jean Jenny Joan "
        "Joe John Jonas Jose Joy Juan Jude Julia Kai Karen Karim Karl Kate Kenji Kim Kira Klara Lara Lars Laura "
        "Lea Leila Lena Leo Lewis Li Lily Lina Linus Lisa Liv Lola Louis Lucas Lucy Luis Luna Maja Malik Marco "
        "Maria Marie Mark Marta Martin Mary Mateo Max Maya Mei Mia Mila Milo Mina Miriam Mohamed Mona Nadia Naomi "
        "Nia Nick Nico Nina Noah Nora Olaf Olga Oliver Omar Oscar Otto Pablo Paul Paula Pedro Peter Petra Philip "
        "Pia Priya Rafael Ravi Rita Robert Rosa Ruth Sam Samira Sara Sasha Sean Sofia Sonja Stefan Sven Tara Theo "
        "Tim Tina Tom Tomas Uma Ursula Vera Victor Viola Walter Wei Wendy Will Yara Yuki Yusuf Zara Zoe"
    ).split(),
)

CITIES = Pool(
    "city",
    (
        "Accra|Amsterdam|Ankara|Antwerp|Athens|Baghdad|Bangkok|Barcelona|Basel|Beijing|Beirut|Bergen|Berlin|Bern|"
        "Bogota|Bologna|Bordeaux|Boston|Bremen|Brisbane|Bristol|Brussels|Bucharest|Budapest|Buenos Aires|Cairo|"
        "Cardiff|Chicago|Cologne|Copenhagen|Cork|Dakar|Dallas|Delhi|Denver|Detroit|Dresden|Dubai|Dublin|Edinburgh|"
        "Florence|Frankfurt|Geneva|Genoa|Ghent|Glasgow|Granada|Hamburg|Hanoi|Havana|Helsinki|Hong Kong|Houston|"
        "Istanbul|Jakarta|Kabul|Kampala|Kyiv|Krakow|Kyoto|Lagos|Leeds|Leipzig|Lille|Lima|Lisbon|Liverpool|London|"
        "Los Angeles|Lyon|Madrid|Malaga|Manchester|Manila|Marseille|Melbourne|Mexico City|Miami|Milan|Minsk|"
        "Montreal|Moscow|Mumbai|Munich|Nairobi|Nantes|Naples|New York|Nice|Osaka|Oslo|Ottawa|Oxford|Palermo|Paris|"
        "Perth|Pisa|Porto|Prague|Quito|Riga|Rome|Rotterdam|Salzburg|San Francisco|Santiago|Seattle|Seoul|Seville|"
        "Shanghai|Singapore|Sofia|Stockholm|Stuttgart|Sydney|Taipei|Tallinn|Tampere|Tehran|Tokyo|Toronto|Trieste|"
        "Tunis|Turin|Utrecht|Valencia|Vancouver|Venice|Vienna|Vilnius|Warsaw|Washington|Wellington|Zagreb|Zurich"
    ).split("|"),
)

WORDS = Pool(
    "word",
    (
        "able above acorn actor after again alarm album alone also always amber angel angry animal "
        "answer apple april apron arm arrow artist autumn baby back bacon badge bag baker ball balloon banana "
        "band bank barn basket bath beach bean bear beard bed bee bell belt bench berry best better bicycle big "
        "bird black blanket blue board boat body bone book boot bottle bowl box boy bread breakfast brick bridge "
        "bright broom brother brown brush bucket bus butter button cabin cable cake camel camera candle candy car "
        "card carpet carrot castle cat cave chair chalk cheese cherry chess chicken child church circle clean "
        "clock cloth cloud coal coat coffee coin cold colour cook copper corn cotton country cousin cow crab "
        "cream crow crown cup curtain dance dark day deep desk dinner dirty dog doll donkey door dragon dream "
        "dress drum dry duck dust eagle early earth easy egg elbow empty engine evening every eye face fair "
        "family farm fast father feather fence field finger fire fish flag flame floor flour flower flute fog "
        "forest fork fox fresh friend frog fruit full funny game garden garlic gate ghost giant gift ginger girl "
        "glass glove goat gold good goose grape grass gray green guitar hair hammer hand happy hard hat "
        "head heart heavy hill honey horse hot hotel house hungry ice iron island jacket jam jar jelly jewel "
        "juice jungle kettle key king kitchen kite kitten knife ladder lake lamp land large laugh leaf lemon "
        "letter library light lion little lizard lock long loud love lucky lunch machine magic man map market "
        "meadow meal melon metal milk mirror money monkey month moon morning mother mountain mouse mouth music "
        "nail narrow needle nest new night noise north nose number ocean old olive onion open orange orchard oven "
        "owl page paint palace panda paper park party peach pear pencil pepper piano picnic picture pig pillow "
        "pilot pirate planet plant plate pocket poem poet pony potato prince purple puzzle queen quick quiet "
        "rabbit rain red rice rich ring river road robot rock roof room rope rose round sad sail salt sand school "
        "sea season seed shadow sheep shell ship shirt shoe shop short silver simple sister sky sleep slow small "
        "smile smoke snail snake snow soap soft song soup spider spoon spring square stable star station "
        "stone storm story street strong sugar summer sun sweet table tall tea teacher thunder ticket tiger "
        "tomato tower town toy train tree truck trumpet tulip turtle umbrella uncle valley velvet village "
        "violin wagon wall walnut warm water wave weather whale wheat wheel white wide wild wind window wine "
        "winter wise wolf woman wood wool word world yellow young zebra"
    ).split(),
)

_ONSETS = "b c d f g h j k l m n p r s t v w y z bl br ch cl cr dr fl fr gl gr pl pr sh sk sl sn sp st th tr  ".split(
    " "
)
_VOWELS = "a e i o u a e i o u y ai ea ee oa oo ou".split()
_CODAS = " b d f g k l m n p r s t x ck ng nd st rt".split(" ")


def invented_word(rng: Random, syllables: int) -> str:
    """A word that nobody taught, such as "brilo" or "lantle"; keeps copying and spelling honest."""
    if rng.random() < 0.3:
        return _grafted(rng)
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables))


def _grafted(rng: Random) -> str:
    """The beginning of one real word with the end of another."""
    first, second = rng.sample(WORDS.trained, 2)
    return first[: rng.randint(1, 4)] + second[-rng.randint(2, 4) :]


def any_word(rng: Random, held: bool) -> str:
    """A real word most of the time, an invented one otherwise."""
    if rng.random() < 0.6:
        return WORDS.pick(rng, held)
    return invented_word(rng, rng.choice((1, 2, 2, 3)))


def any_name(rng: Random, held: bool) -> str:
    """A first name; when training, one in four is invented so that copying is learned, not the list."""
    if held or rng.random() < 0.75:
        return NAMES.pick(rng, held)
    return invented_word(rng, rng.choice((1, 2, 2))).capitalize()


def any_city(rng: Random, held: bool) -> str:
    """A city; when training, one in four is invented."""
    if held or rng.random() < 0.75:
        return CITIES.pick(rng, held)
    return invented_word(rng, rng.choice((2, 2, 3))).capitalize()
