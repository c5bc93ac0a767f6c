"""Tables of true things: countries, elements, opposites, animals and the like."""

COUNTRIES = """
Albania,Tirana,Europe|Algeria,Algiers,Africa|Angola,Luanda,Africa|Argentina,Buenos Aires,South America|
Australia,Canberra,Oceania|Austria,Vienna,Europe|Bangladesh,Dhaka,Asia|Belgium,Brussels,Europe|
Brazil,Brasilia,South America|Bulgaria,Sofia,Europe|Cambodia,Phnom Penh,Asia|Canada,Ottawa,North America|
Chad,N'Djamena,Africa|Chile,Santiago,South America|China,Beijing,Asia|Colombia,Bogota,South America|
Croatia,Zagreb,Europe|Cuba,Havana,North America|Denmark,Copenhagen,Europe|Ecuador,Quito,South America|
Egypt,Cairo,Africa|Estonia,Tallinn,Europe|Ethiopia,Addis Ababa,Africa|Fiji,Suva,Oceania|Finland,Helsinki,Europe|
France,Paris,Europe|Germany,Berlin,Europe|Ghana,Accra,Africa|Greece,Athens,Europe|Hungary,Budapest,Europe|
Iceland,Reykjavik,Europe|India,New Delhi,Asia|Iran,Tehran,Asia|Iraq,Baghdad,Asia|Ireland,Dublin,Europe|
Italy,Rome,Europe|Jamaica,Kingston,North America|Japan,Tokyo,Asia|Jordan,Amman,Asia|Kenya,Nairobi,Africa|
Latvia,Riga,Europe|Lebanon,Beirut,Asia|Libya,Tripoli,Africa|Lithuania,Vilnius,Europe|
Madagascar,Antananarivo,Africa|Mali,Bamako,Africa|Malta,Valletta,Europe|Mexico,Mexico City,North America|
Mongolia,Ulaanbaatar,Asia|Morocco,Rabat,Africa|Nepal,Kathmandu,Asia|New Zealand,Wellington,Oceania|
Nigeria,Abuja,Africa|Norway,Oslo,Europe|Pakistan,Islamabad,Asia|Peru,Lima,South America|Poland,Warsaw,Europe|
Portugal,Lisbon,Europe|Romania,Bucharest,Europe|Senegal,Dakar,Africa|Serbia,Belgrade,Europe|
Slovakia,Bratislava,Europe|Slovenia,Ljubljana,Europe|South Korea,Seoul,Asia|Spain,Madrid,Europe|
Sudan,Khartoum,Africa|Sweden,Stockholm,Europe|Thailand,Bangkok,Asia|Tunisia,Tunis,Africa|Turkey,Ankara,Asia|
Uganda,Kampala,Africa|Ukraine,Kyiv,Europe|Uruguay,Montevideo,South America|Venezuela,Caracas,South America|
Vietnam,Hanoi,Asia|Zambia,Lusaka,Africa
"""

CURRENCIES = """
Japan,the yen|Mexico,the peso|India,the rupee|China,the yuan|Sweden,the krona|Poland,the zloty|France,the euro|
Germany,the euro|Italy,the euro|Spain,the euro|Thailand,the baht|South Korea,the won|Brazil,the real|
Vietnam,the dong|Hungary,the forint|Canada,the Canadian dollar|Norway,the krone
"""

LANGUAGES = """
France,French|Germany,German|Italy,Italian|Japan,Japanese|Brazil,Portuguese|Portugal,Portuguese|Mexico,Spanish|
Argentina,Spanish|Egypt,Arabic|Greece,Greek|Poland,Polish|Sweden,Swedish|Turkey,Turkish|Austria,German|
Hungary,Hungarian|Denmark,Danish|Iran,Persian|Thailand,Thai
"""

ELEMENTS = """
hydrogen,H|helium,He|lithium,Li|carbon,C|nitrogen,N|oxygen,O|fluorine,F|neon,Ne|sodium,Na|magnesium,Mg|
aluminium,Al|silicon,Si|sulphur,S|chlorine,Cl|argon,Ar|potassium,K|calcium,Ca|iron,Fe|nickel,Ni|copper,Cu|
zinc,Zn|silver,Ag|tin,Sn|gold,Au|mercury,Hg|lead,Pb|uranium,U
"""

OPPOSITES = """
hot,cold|big,small|up,down|left,right|day,night|fast,slow|happy,sad|old,young|rich,poor|light,dark|wet,dry|
hard,soft|open,closed|empty,full|early,late|strong,weak|high,low|long,short|clean,dirty|loud,quiet|thick,thin|
wide,narrow|good,bad|first,last|true,false|near,far|inside,outside|black,white|summer,winter|north,south|
east,west|love,hate|push,pull|begin,end|buy,sell|win,lose|give,take|cheap,expensive|simple,complicated
"""

YOUNG = """
dog,a puppy|cat,a kitten|cow,a calf|horse,a foal|sheep,a lamb|goat,a kid|pig,a piglet|duck,a duckling|
goose,a gosling|hen,a chick|lion,a cub|bear,a cub|kangaroo,a joey|swan,a cygnet|frog,a tadpole|deer,a fawn|
owl,an owlet|eagle,an eaglet
"""

SOUNDS = """
dog,barks|cat,meows|cow,moos|sheep,bleats|duck,quacks|lion,roars|horse,neighs|pig,oinks|bee,buzzes|snake,hisses|
wolf,howls|owl,hoots|frog,croaks|mouse,squeaks
"""

LEGS = "dog,4|cat,4|horse,4|bird,2|spider,8|ant,6|bee,6|snake,0|crab,10|human,2|elephant,4|duck,2|beetle,6"

SIDES = "triangle,3|square,4|rectangle,4|pentagon,5|hexagon,6|heptagon,7|octagon,8"

COLOURS = """
grass,green|snow,white|blood,red|coal,black|a lemon,yellow|a ripe banana,yellow|a carrot,orange|
the clear sky,blue|a polar bear,white|a ripe tomato,red|milk,white|an emerald,green|a ruby,red|a flamingo,pink|
chocolate,brown
"""

WRITERS = """
Hamlet,William Shakespeare|Romeo and Juliet,William Shakespeare|Don Quixote,Miguel de Cervantes|
War and Peace,Leo Tolstoy|Oliver Twist,Charles Dickens|Frankenstein,Mary Shelley|Dracula,Bram Stoker|
Emma,Jane Austen|Moby-Dick,Herman Melville|Faust,Johann Wolfgang von Goethe|The Odyssey,Homer|
Treasure Island,Robert Louis Stevenson|The Time Machine,H. G. Wells|Les Miserables,Victor Hugo|
The Metamorphosis,Franz Kafka|Walden,Henry David Thoreau|The Divine Comedy,Dante Alighieri|Ulysses,James Joyce
"""

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

PLANETS = ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune")


def rows(table: str) -> list[tuple[str, ...]]:
    """The rows of a table written as `a,b|c,d`."""
    return [tuple(cell.strip() for cell in row.split(",")) for row in table.replace("\n", "").split("|")]
