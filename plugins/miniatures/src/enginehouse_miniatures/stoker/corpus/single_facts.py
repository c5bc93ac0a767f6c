# ruff: noqa: E501 - one fact a line
"""Facts that fit no table: each line holds the questions, the short answer and the full sentence."""

SINGLE_FACTS = """
What is the largest animal?/Which animal is the largest?/Name the largest animal./What is the biggest animal in the world? # The blue whale # The largest animal is the blue whale.
What is the tallest animal?/Which animal is the tallest? # The giraffe # The tallest animal is the giraffe.
What is the fastest land animal?/Which land animal is the fastest? # The cheetah # The fastest land animal is the cheetah.
What is the largest land animal?/Which land animal is the largest? # The African elephant # The largest land animal is the African elephant.
What is the largest bird?/Which bird is the largest? # The ostrich # The largest bird is the ostrich.
What is the smallest bird?/Which bird is the smallest? # The bee hummingbird # The smallest bird is the bee hummingbird.
What is the largest fish?/Which fish is the largest? # The whale shark # The largest fish is the whale shark.
What is the largest big cat?/Which big cat is the largest? # The tiger # The largest big cat is the tiger.
What is the largest planet?/Which planet is the largest?/What is the biggest planet? # Jupiter # The largest planet is Jupiter.
What is the smallest planet?/Which planet is the smallest? # Mercury # The smallest planet is Mercury.
What is the hottest planet?/Which planet is the hottest? # Venus # The hottest planet is Venus.
Which planet is called the red planet?/What is the red planet? # Mars # The red planet is Mars.
Which planet is closest to the Sun?/What is the planet closest to the Sun? # Mercury # The planet closest to the Sun is Mercury.
Which planet is farthest from the Sun?/What is the planet farthest from the Sun? # Neptune # The planet farthest from the Sun is Neptune.
How many planets are there?/How many planets are in the solar system? # Eight # There are 8 planets in the solar system.
What is the highest mountain?/Which mountain is the highest?/What is the tallest mountain? # Mount Everest # The highest mountain is Mount Everest.
What is the largest ocean?/Which ocean is the largest?/What is the biggest ocean? # The Pacific Ocean # The largest ocean is the Pacific Ocean.
What is the smallest ocean?/Which ocean is the smallest? # The Arctic Ocean # The smallest ocean is the Arctic Ocean.
What is the largest continent?/Which continent is the largest? # Asia # The largest continent is Asia.
What is the smallest continent?/Which continent is the smallest? # Australia # The smallest continent is Australia.
What is the coldest continent?/Which continent is the coldest? # Antarctica # The coldest continent is Antarctica.
What is the largest country?/Which country is the largest? # Russia # The largest country is Russia.
What is the smallest country?/Which country is the smallest? # Vatican City # The smallest country is Vatican City.
What is the largest hot desert?/Which hot desert is the largest? # The Sahara # The largest hot desert is the Sahara.
What is the largest island?/Which island is the largest? # Greenland # The largest island is Greenland.
What is the deepest lake?/Which lake is the deepest? # Lake Baikal # The deepest lake is Lake Baikal.
What is the deepest part of the ocean?/Where is the ocean deepest? # The Mariana Trench # The deepest part of the ocean is the Mariana Trench.
What is the highest waterfall?/Which waterfall is the highest? # Angel Falls # The highest waterfall is Angel Falls.
Which river flows through London?/What is the river of London? # The Thames # The river that flows through London is the Thames.
Which river flows through Paris?/What is the river of Paris? # The Seine # The river that flows through Paris is the Seine.
Which river flows through Rome?/What is the river of Rome? # The Tiber # The river that flows through Rome is the Tiber.
Which river flows through Vienna?/What is the river of Vienna? # The Danube # The river that flows through Vienna is the Danube.
Which river flows through Cairo?/What is the river of Cairo? # The Nile # The river that flows through Cairo is the Nile.
What is the hardest natural material?/Which natural material is the hardest? # Diamond # The hardest natural material is diamond.
What is the lightest element?/Which element is the lightest? # Hydrogen # The lightest element is hydrogen.
Which metal is liquid at room temperature?/What metal is liquid at room temperature? # Mercury # The metal that is liquid at room temperature is mercury.
Which gas do plants take in?/What gas do plants take in? # Carbon dioxide # Plants take in carbon dioxide.
Which gas do we need to breathe?/What gas do we need to breathe? # Oxygen # We need oxygen to breathe.
What is water made of?/Which elements are in water? # Hydrogen and oxygen # Water is made of hydrogen and oxygen.
What is the chemical formula of water?/What is the formula of water? # H2O # The chemical formula of water is H2O.
What is the chemical formula of table salt?/What is the formula of salt? # NaCl # The chemical formula of table salt is NaCl.
At what temperature does water boil?/When does water boil?/What is the boiling point of water? # 100 degrees Celsius # Water boils at 100 degrees Celsius at sea level.
At what temperature does water freeze?/When does water freeze?/What is the freezing point of water? # 0 degrees Celsius # Water freezes at 0 degrees Celsius.
What is frozen water called?/What do we call frozen water? # Ice # Frozen water is called ice.
What is the Sun?/What kind of thing is the Sun? # A star # The Sun is a star.
What is the Moon?/What kind of thing is the Moon? # A natural satellite of the Earth # The Moon is a natural satellite of the Earth.
How many moons does the Earth have?/How many moons does Earth have? # One # The Earth has 1 moon.
How long does the Earth take to go around the Sun?/How long is a year? # About 365 days # The Earth takes about 365 days to go around the Sun.
How many hours are in a day?/How many hours does a day have? # 24 # There are 24 hours in a day.
How many minutes are in an hour?/How many minutes does an hour have? # 60 # There are 60 minutes in an hour.
How many seconds are in a minute?/How many seconds does a minute have? # 60 # There are 60 seconds in a minute.
How many days are in a week?/How many days does a week have? # Seven # There are 7 days in a week.
How many months are in a year?/How many months does a year have? # Twelve # There are 12 months in a year.
How many days are in a leap year?/How many days does a leap year have? # 366 # There are 366 days in a leap year.
How many years are in a century?/How many years does a century have? # 100 # There are 100 years in a century.
How many centimetres are in a metre?/How many centimetres does a metre have? # 100 # There are 100 centimetres in a metre.
How many metres are in a kilometre?/How many metres does a kilometre have? # 1000 # There are 1000 metres in a kilometre.
How many grams are in a kilogram?/How many grams does a kilogram have? # 1000 # There are 1000 grams in a kilogram.
How many letters are in the English alphabet?/How many letters does the alphabet have? # 26 # There are 26 letters in the English alphabet.
How many continents are there?/What is the number of continents? # Seven # There are 7 continents.
How many things are in a dozen?/How many is a dozen? # Twelve # There are 12 things in a dozen.
How many players does a football team have?/How many players are in a football team? # Eleven # A football team has 11 players on the field.
How many strings does a violin have?/How many strings are on a violin? # Four # A violin has 4 strings.
How many keys does a piano have?/How many keys are on a piano? # 88 # A modern piano has 88 keys.
How many squares does a chessboard have?/How many squares are on a chessboard? # 64 # A chessboard has 64 squares.
How many bits are in a byte?/How many bits does a byte have? # Eight # There are 8 bits in a byte.
How many hearts does an octopus have?/How many hearts has an octopus? # Three # An octopus has 3 hearts.
How many arms does an octopus have?/How many arms has an octopus? # Eight # An octopus has 8 arms.
How many teeth does an adult human have?/How many teeth do adults have? # 32 # An adult human has 32 teeth with the wisdom teeth.
What do bees make?/What do bees produce? # Honey # Bees make honey.
What do cows give?/What do we get from cows? # Milk # Cows give milk.
What do pandas eat?/What is the food of pandas? # Bamboo # Pandas eat mostly bamboo.
What do koalas eat?/What is the food of koalas? # Eucalyptus leaves # Koalas eat eucalyptus leaves.
Where do penguins live?/In which half of the world do penguins live? # In the southern hemisphere # Nearly all penguins live in the southern hemisphere.
Where do polar bears live?/In which region do polar bears live? # In the Arctic # Polar bears live in the Arctic.
What does a caterpillar become?/What does a caterpillar turn into? # A butterfly or a moth # A caterpillar becomes a butterfly or a moth.
Which organ pumps the blood?/What organ pumps the blood? # The heart # The heart pumps the blood.
What is the largest organ of the human body?/Which organ is the largest? # The skin # The largest organ of the human body is the skin.
Which sense belongs to the nose?/What do we do with the nose? # Smell # We smell with the nose.
What do we see with?/Which organ do we see with? # The eyes # We see with the eyes.
Who painted the Mona Lisa?/Which painter made the Mona Lisa? # Leonardo da Vinci # Leonardo da Vinci painted the Mona Lisa.
Who painted The Starry Night?/Which painter made The Starry Night? # Vincent van Gogh # Vincent van Gogh painted The Starry Night.
Who discovered penicillin?/Which scientist discovered penicillin? # Alexander Fleming # Alexander Fleming discovered penicillin.
Who found the law of gravity?/Who discovered the law of gravity? # Isaac Newton # Isaac Newton found the law of gravity.
Who made the theory of relativity?/Whose theory is relativity? # Albert Einstein # Albert Einstein made the theory of relativity.
Who described evolution by natural selection?/Who wrote On the Origin of Species? # Charles Darwin # Charles Darwin wrote On the Origin of Species.
Who was the first human in space?/Which human was first in space? # Yuri Gagarin # The first human in space was Yuri Gagarin.
Who was the first human on the Moon?/Who walked first on the Moon? # Neil Armstrong # The first human on the Moon was Neil Armstrong.
In which year did humans first land on the Moon?/When did humans first land on the Moon? # 1969 # Humans first landed on the Moon in 1969.
When did the Second World War end?/In which year did the Second World War end? # 1945 # The Second World War ended in 1945.
When did the First World War begin?/In which year did the First World War begin? # 1914 # The First World War began in 1914.
When did the Berlin Wall fall?/In which year did the Berlin Wall fall? # 1989 # The Berlin Wall fell in 1989.
Who wrote the first computer program?/Which person wrote the first computer program? # Ada Lovelace # Ada Lovelace is often called the first programmer.
Who composed the Ninth Symphony with the Ode to Joy?/Who composed the Ode to Joy symphony? # Ludwig van Beethoven # Ludwig van Beethoven composed it.
Who composed The Magic Flute?/Which composer wrote The Magic Flute? # Wolfgang Amadeus Mozart # Wolfgang Amadeus Mozart composed The Magic Flute.
Who invented dynamite?/Which inventor made dynamite? # Alfred Nobel # Alfred Nobel invented dynamite.
What is the opposite of yes?/What is the contrary of "yes"? # No # The opposite of yes is no.
What colours make green?/Which colours give green when mixed? # Blue and yellow # Blue and yellow paint make green.
What colours make orange?/Which colours give orange when mixed? # Red and yellow # Red and yellow paint make orange.
What colours make purple?/Which colours give purple when mixed? # Red and blue # Red and blue paint make purple.
What is the first letter of the alphabet?/Which letter comes first in the alphabet? # A # The first letter of the alphabet is A.
What is the last letter of the alphabet?/Which letter comes last in the alphabet? # Z # The last letter of the alphabet is Z.
What is the first month of the year?/Which month comes first in the year? # January # The first month of the year is January.
What is the last month of the year?/Which month comes last in the year? # December # The last month of the year is December.
What is the shortest month?/Which month is the shortest? # February # The shortest month is February.
In which city is the Eiffel Tower?/Where is the Eiffel Tower? # Paris # The Eiffel Tower is in Paris.
In which city is the Colosseum?/Where is the Colosseum? # Rome # The Colosseum is in Rome.
In which country is the Taj Mahal?/Where is the Taj Mahal? # India # The Taj Mahal is in India.
In which country are the pyramids of Giza?/Where are the pyramids of Giza? # Egypt # The pyramids of Giza are in Egypt.
In which city is the Statue of Liberty?/Where is the Statue of Liberty? # New York # The Statue of Liberty is in New York.
In which country is Mount Fuji?/Where is Mount Fuji? # Japan # Mount Fuji is in Japan.
In which city is Big Ben?/Where is Big Ben? # London # Big Ben is in London.
In which country is Machu Picchu?/Where is Machu Picchu? # Peru # Machu Picchu is in Peru.
What does a thermometer measure?/What is measured with a thermometer? # Temperature # A thermometer measures temperature.
What does a barometer measure?/What is measured with a barometer? # Air pressure # A barometer measures air pressure.
What does a clock show?/What do we read from a clock? # The time # A clock shows the time.
What does a compass show?/What do we read from a compass? # The direction of north # A compass shows the direction of north.
What does a stoker do?/What is the work of a stoker? # A stoker feeds the fire # A stoker feeds the fire of a steam engine.
What drives a steam engine?/What moves a steam engine? # Hot steam # Hot steam drives a steam engine.
What does CPU mean?/What is a CPU? # Central processing unit # CPU means central processing unit.
What does GPU mean?/What is a GPU? # Graphics processing unit # GPU means graphics processing unit.
What does HTTP mean?/What does HTTP stand for? # Hypertext Transfer Protocol # HTTP means Hypertext Transfer Protocol.
What does API mean?/What does API stand for? # Application programming interface # API means application programming interface.
What is the square root of 81?/Which number times itself gives 81? # 9 # The square root of 81 is 9.
What is the square root of 144?/Which number times itself gives 144? # 12 # The square root of 144 is 12.
What is the smallest prime number?/Which prime number is the smallest? # 2 # The smallest prime number is 2.
"""
