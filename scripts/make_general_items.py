"""Write the multiple-choice items of ``c2 general --preset offline``.

All words, facts and sentences are written here, by hand; nothing is copied. The same script always
writes the same file: wrong choices and their order are drawn by a generator seeded with the
question. A pattern on which the embedded model is at chance would measure nothing and has no place
here; ``docs/howto-general.md`` has its accuracy by pattern.

    python scripts/make_general_items.py
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).parents[1] / "src/coursecorrect/general/tasks/choice.jsonl"
CHOICES = 4


class Question(NamedTuple):
    """A beginning, how it rightly goes on, and three ways that are wrong."""

    pattern: str
    text: str
    right: str
    wrong: Sequence[str]


KINDS = {
    "bird": "sparrow robin eagle owl parrot crow pigeon",
    "fish": "salmon trout tuna cod herring",
    "fruit": "banana pear peach mango cherry plum",
    "vegetable": "carrot cabbage onion broccoli spinach turnip",
    "tree": "birch maple willow pine cedar",
    "tool": "hammer screwdriver wrench chisel saw",
    "insect": "beetle wasp ant mosquito grasshopper",
    "metal": "copper tin silver zinc aluminum",
    "color": "purple yellow crimson turquoise beige",
    "sport": "tennis hockey basketball rugby cricket",
}
INSTRUMENTS = "violin trumpet flute guitar cello"
CLOTHES = "shirt jacket sweater skirt coat"

OPPOSITES = """
hot cold warm fire; big small huge giant; fast slow quick rapid; up down above sky;
old young aged ancient; happy sad glad smile; open closed wide door; light dark bright lamp;
early late soon morning; full empty filled crowded; rich poor wealthy money;
strong weak powerful muscle; hard soft firm stone; wet dry damp rain; near far close next;
high low tall tower; loud quiet noisy shout; clean dirty tidy soap; thick thin dense fat;
long short lengthy mile; left right side turn; inside outside within room; begin end start first;
buy sell pay shop; push pull press shove; love hate like heart; win lose victory game;
day night morning week; true false correct fact; cheap expensive bargain price;
deep shallow bottom ocean; heavy light weight load; sweet bitter sugar honey;
arrive depart come reach; remember forget recall memory; ancient modern old history;
awake asleep alert woken; brave cowardly bold hero; wide narrow broad large;
alive dead living life; always never often ever; north south west compass
"""

PLURALS = {
    "child": "children childs childrens childes",
    "mouse": "mice mouses mices mouse",
    "foot": "feet foots feets foot",
    "tooth": "teeth tooths teeths tooth",
    "man": "men mans mens man",
    "woman": "women womans womens woman",
    "goose": "geese gooses geeses goose",
    "leaf": "leaves leafs leafes leaf",
    "knife": "knives knifes knivs knife",
    "wolf": "wolves wolfs wolfes wolf",
    "shelf": "shelves shelfs shelfes shelf",
    "loaf": "loaves loafs loafes loaf",
    "city": "cities citys cityes city",
    "baby": "babies babys babyes baby",
    "story": "stories storys storyes story",
    "berry": "berries berrys berryes berry",
    "box": "boxes boxs boxies box",
    "fox": "foxes foxs foxies fox",
    "bus": "buses busies busis bus",
    "glass": "glasses glasss glassies glass",
    "brush": "brushes brushs brushies brush",
    "church": "churches churchs churchies church",
    "tomato": "tomatoes tomatos tomatois tomato",
    "hero": "heroes heros herois hero",
    "boy": "boys boies boyes boy",
    "key": "keys keies keyes key",
    "day": "days daies dayes day",
    "monkey": "monkeys monkies monkeyes monkey",
    "chair": "chairs chaires chairies chair",
    "window": "windows windowes windowies window",
    "dog": "dogs doges dogies dog",
    "thief": "thieves thiefs thiefes thief",
    "wife": "wives wifes wivs wife",
    "penny": "pennies pennys pennyes penny",
    "match": "matches matchs matchies match",
    "dish": "dishes dishs dishies dish",
    "ox": "oxen oxes oxs ox",
    "lady": "ladies ladys ladyes lady",
}

PASTS = {
    "I go to the market": "went goed going goes",
    "I eat an apple": "ate eated eating eats",
    "I see a bird": "saw seed seeing sees",
    "I take the bus": "took taked taking takes",
    "I write a letter": "wrote writed writing writes",
    "I drive to work": "drove drived driving drives",
    "I give him a book": "gave gived giving gives",
    "I find a coin": "found finded finding finds",
    "I buy some bread": "bought buyed buying buys",
    "I think about home": "thought thinked thinking thinks",
    "I run in the park": "ran runned running runs",
    "I swim in the lake": "swam swimmed swimming swims",
    "I sing a song": "sang singed singing sings",
    "I drink some water": "drank drinked drinking drinks",
    "I begin my work": "began beginned beginning begins",
    "I know the answer": "knew knowed knowing knows",
    "I break a plate": "broke breaked breaking breaks",
    "I speak with her": "spoke speaked speaking speaks",
    "I choose a hat": "chose choosed choosing chooses",
    "I feel tired": "felt feeled feeling feels",
    "I keep the change": "kept keeped keeping keeps",
    "I leave the house": "left leaved leaving leaves",
    "I meet my friend": "met meeted meeting meets",
    "I pay the bill": "paid payed paying pays",
    "I sleep on the couch": "slept sleeped sleeping sleeps",
    "I stand in line": "stood standed standing stands",
    "I teach a class": "taught teached teaching teaches",
    "I tell a story": "told telled telling tells",
    "I wear a coat": "wore weared wearing wears",
    "I win the game": "won winned winning wins",
    "I catch the ball": "caught catched catching catches",
    "I fly to Rome": "flew flied flying flies",
    "I grow tomatoes": "grew growed growing grows",
    "I hear the rain": "heard heared hearing hears",
    "I hold the door": "held holded holding holds",
    "I make a cake": "made maked making makes",
    "I say hello": "said sayed saying says",
    "I sit by the fire": "sat sitted sitting sits",
}

SINGULAR = (
    ("The dog behind the fences", "sleeping"),
    ("The key to the cupboards", "missing"),
    ("The box of pencils", "empty"),
    ("My sister, who lives near two rivers,", "happy"),
    ("The picture of the mountains", "beautiful"),
    ("The teacher of these children", "kind"),
    ("Every one of the apples", "ripe"),
    ("The price of the tickets", "high"),
    ("The door of the old houses", "open"),
    ("The leader of the groups", "tired"),
    ("The smell of the flowers", "sweet"),
    ("Each of the boys", "hungry"),
    ("The road between the hills", "narrow"),
    ("The color of the curtains", "green"),
    ("The man with the dogs", "late"),
    ("The list of names", "long"),
)
PLURAL = (
    ("The dogs behind the fence", "sleeping"),
    ("The keys to the cupboard", "missing"),
    ("The boxes on the shelf", "empty"),
    ("My sisters, who live near a river,", "happy"),
    ("The pictures of the mountain", "beautiful"),
    ("The teachers of this child", "kind"),
    ("All of the apples in the basket", "ripe"),
    ("The prices on the menu", "high"),
    ("The doors of the old house", "open"),
    ("The leaders of the group", "tired"),
    ("The flowers in the garden", "sweet"),
    ("Both of the boys", "hungry"),
    ("The roads over the hill", "narrow"),
    ("The curtains in the room", "green"),
    ("The men with the dog", "late"),
    ("The names on the list", "long"),
)

RUNS = (
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "January February March April May June July August September October November December",
    "one two three four five six seven eight nine ten eleven twelve",
    "first second third fourth fifth sixth seventh eighth ninth tenth",
    "ten twenty thirty forty fifty sixty seventy eighty ninety",
    "A B C D E F G H I J K L M",
    "2 4 6 8 10 12 14 16 18",
    "5 10 15 20 25 30 35 40 45",
)

COLORS = {
    "Grass is usually": "green purple black pink",
    "Fresh snow is": "white green brown purple",
    "The clear sky at noon is": "blue brown green black",
    "A ripe banana is": "yellow blue purple gray",
    "Blood is": "red green blue yellow",
    "Coal is": "black white yellow pink",
    "A ripe tomato is": "red blue black purple",
    "An orange carrot and a pumpkin are both": "orange blue black gray",
    "The yolk of an egg is": "yellow blue green black",
    "Milk is": "white red black green",
    "Chocolate is usually": "brown blue green purple",
    "A stop sign is": "red green brown purple",
    "An elephant is": "gray yellow green pink",
    "A flamingo is": "pink green brown blue",
    "Lemons are": "yellow purple blue brown",
    "The leaves of a tree in spring are": "green blue black purple",
    "A polar bear's fur looks": "white green red purple",
    "Spinach is": "green red white blue",
}

CAPITALS = """
France|Paris|Lyon|Marseille|Nice
Italy|Rome|Milan|Naples|Turin
Spain|Madrid|Barcelona|Seville|Valencia
Germany|Berlin|Munich|Hamburg|Frankfurt
England|London|Manchester|Liverpool|Leeds
Japan|Tokyo|Osaka|Kyoto|Nagoya
China|Beijing|Shanghai|Hong Kong|Nanjing
Russia|Moscow|St. Petersburg|Kazan|Novosibirsk
Egypt|Cairo|Alexandria|Luxor|Aswan
Greece|Athens|Sparta|Corinth|Thebes
Austria|Vienna|Salzburg|Graz|Linz
Portugal|Lisbon|Porto|Braga|Coimbra
Ireland|Dublin|Cork|Galway|Limerick
Norway|Oslo|Bergen|Trondheim|Stavanger
Sweden|Stockholm|Gothenburg|Uppsala|Malmo
Denmark|Copenhagen|Aarhus|Odense|Aalborg
Poland|Warsaw|Krakow|Gdansk|Lublin
Belgium|Brussels|Antwerp|Ghent|Bruges
Canada|Ottawa|Toronto|Montreal|Vancouver
Australia|Canberra|Sydney|Melbourne|Perth
Brazil|Brasilia|Rio de Janeiro|Sao Paulo|Salvador
Turkey|Ankara|Istanbul|Izmir|Bursa
India|New Delhi|Mumbai|Chennai|Bangalore
Scotland|Edinburgh|Glasgow|Aberdeen|Dundee
Switzerland|Bern|Zurich|Geneva|Basel
the United States|Washington|New York|Chicago|Boston
Morocco|Rabat|Casablanca|Fez|Tangier
Kenya|Nairobi|Mombasa|Kisumu|Nakuru
Vietnam|Hanoi|Saigon|Hue|Da Nang
Pakistan|Islamabad|Karachi|Lahore|Multan
"""

USES = """
You cut paper with|scissors|a spoon|a pillow|a candle
You drive a nail into wood with|a hammer|a fork|a towel|a brush
You eat soup with|a spoon|a knife|a comb|a pencil
You open a locked door with|a key|a plate|a shoe|a blanket
You write a letter with|a pen|a cup|a ladder|a sock
You brush your teeth with|a toothbrush|a broom|a rake|a shovel
You sweep the floor with|a broom|a spoon|a pencil|a pillow
You dry your hands with|a towel|a stone|a knife|a bottle
You tell the time with|a clock|a ladder|a bowl|a broom
You look at the stars through|a telescope|a carpet|a saucepan|a blanket
You boil water in|a kettle|a drawer|a basket|a wallet
You dig a hole with|a shovel|a pillow|a mirror|a curtain
You comb your hair with|a comb|a hammer|a plate|a bucket
You keep food cold in|a refrigerator|an oven|a bookcase|a wardrobe
You bake bread in|an oven|a bathtub|a mailbox|a drawer
You measure temperature with|a thermometer|a ruler|a calendar|a compass
You find north with|a compass|a thermometer|a whistle|a candle
You keep dry in the rain with|an umbrella|a fork|a violin|a candle
You take a photograph with|a camera|a pillow|a saw|a kettle
You carry water in|a bucket|a net|a comb|a shirt
You climb onto a roof with|a ladder|a pencil|a towel|a bowl
You wash your hands with|soap and water|sand and glue|ink and paper|salt and flour
You put out a fire with|water|gasoline|paper|dry wood
You fasten a shirt with|buttons|bricks|spoons|wheels
You hear with your|ears|knees|teeth|elbows
You see with your|eyes|feet|shoulders|fingers
You smell flowers with your|nose|ears|knees|hair
You wear shoes on your|feet|hands|ears|elbows
You wear a hat on your|head|foot|knee|elbow
You wear gloves on your|hands|feet|ears|knees
"""

YOUNG = {
    "dog": "puppy kitten calf chick",
    "cat": "kitten puppy lamb foal",
    "cow": "calf puppy chick kitten",
    "sheep": "lamb calf puppy cub",
    "horse": "foal lamb kitten chick",
    "hen": "chick puppy calf lamb",
    "lion": "cub foal chick lamb",
    "bear": "cub chick foal lamb",
    "duck": "duckling kitten calf cub",
    "goat": "kid puppy chick cub",
    "frog": "tadpole lamb chick cub",
    "goose": "gosling kitten cub calf",
    "deer": "fawn chick puppy kitten",
    "pig": "piglet chick foal kitten",
}

GRADES = (
    "big bigger biggest, small smaller smallest, tall taller tallest, fast faster fastest, "
    "old older oldest, cold colder coldest, long longer longest, hot hotter hottest, "
    "thin thinner thinnest, easy easier easiest, happy happier happiest, heavy heavier heaviest, "
    "early earlier earliest, good better best, bad worse worst, dry drier driest, "
    "loud louder loudest, nice nicer nicest, large larger largest, brave braver bravest, "
    "busy busier busiest, dirty dirtier dirtiest, sad sadder saddest, wide wider widest"
)

WORKERS = {
    "bakes bread": "baker",
    "flies airplanes": "pilot",
    "teaches children": "teacher",
    "puts out fires": "firefighter",
    "fixes water pipes": "plumber",
    "catches fish": "fisherman",
    "grows crops": "farmer",
    "builds things from wood": "carpenter",
    "cuts hair": "barber",
    "paints pictures": "painter",
    "writes books": "author",
    "takes care of sick people in a hospital": "nurse",
    "takes care of teeth": "dentist",
    "treats sick animals": "veterinarian",
    "sings songs": "singer",
    "cooks in a restaurant": "chef",
    "brings letters and parcels": "mailman",
    "plays music on an instrument": "musician",
    "acts in films": "actor",
    "works in a library": "librarian",
    "designs buildings": "architect",
    "sews clothes": "tailor",
    "sells meat": "butcher",
    "dances on a stage": "dancer",
    "studies the stars": "astronomer",
    "repairs cars": "mechanic",
    "drives a taxi": "driver",
    "takes photographs": "photographer",
    "argues cases in court": "lawyer",
    "studies plants": "botanist",
}

LANGUAGES = (
    "Spain Spanish, France French, Italy Italian, Germany German, Japan Japanese, "
    "Russia Russian, Portugal Portuguese, Poland Polish, Greece Greek, Turkey Turkish, "
    "Brazil Portuguese, Mexico Spanish, Austria German, Korea Korean, Sweden Swedish, "
    "Norway Norwegian, Finland Finnish, Egypt Arabic, England English, Vietnam Vietnamese"
)

CLOZES = """
She put on her coat because it was|cold outside|an onion|under the spoon|twelve kilometers old
He was thirsty, so he drank|a glass of water|a wooden chair|the whole street|two pairs of shoes
The baby was crying because she was|hungry|a hammer|made of glass|seven miles long
When the traffic light turned red, the car|stopped|sang|melted|read a book
It was raining, so we took|our umbrellas|our ice skates|the ceiling|a slice of Tuesday
The library is full of|books|elephants|soup|snow
After dinner he washed the|dishes|clouds|mountains|news
The farmer milked the|cow|fence|tractor|potato
The moon shines at|night|breakfast|the bottom of a cup|noon under the floor
The children built a castle out of|sand|steam|arithmetic|thunder
Fish live in|water|ovens|books|the sky
Birds can|fly|read newspapers|drive cars|speak Latin
In winter the lake was covered with|ice|butter|carpets|ink
He could not see anything because the room was|dark|delicious|polite|early
She blew out the candles on her birthday|cake|bicycle|letter|roof
The train arrived at the|station|sandwich|ocean floor|piano
We went to the beach to|swim in the sea|shovel the snow|plow the field|repair the roof
The cat climbed up the|tree|soup|sentence|afternoon
He turned on the lamp to get more|light|bread|friends|rain
A week has seven|days|wheels|rivers|doors
A year has twelve|months|legs|continents|teeth
A dog has four|legs|wings|wheels|horns
Bees make|honey|cheese|paper money|bricks
The sun rises in the|east|north|kitchen|south
Water freezes when it gets very|cold|loud|rich|late
To make toast you need|bread|gasoline|a tent|a violin
The doctor told him to take his|medicine|bridge|garden|opinion
The students raised their hands to|answer the question|boil the kettle|cross the ocean|melt the snow
The ship sailed across the|ocean|bookshelf|pillow|telephone
At night most people|sleep|bloom|freeze solid|turn into birds
He forgot his key, so he could not|open the door|eat the soup|see the moon|hear the music
The glass fell on the floor and|broke|smiled|slept|grew taller
She was tired after work, so she went to|bed|war|the bottom of the sea|a smaller number
The bread was fresh and smelled|good|Tuesday|triangular|seventy
The old man walked slowly with a|cane|whale|thunderstorm|staircase
Please close the window, it is|cold in here|a kind of fruit|my uncle's name|three plus four
The team was happy because they had|won the game|lost the ball|broken a leg|missed the bus
He was late for school because he|missed the bus|had ten fingers|liked the color blue|spoke English
The plants died because nobody|watered them|sang in Greek|counted the spoons|painted the door
She studied hard and|passed the exam|turned into stone|drank the desk|flew to the sun
I need an eraser to correct my|mistake|breakfast|weather|shadow
We keep milk in the|refrigerator|fireplace|bookcase|garage roof
The dentist looked at his|teeth|shoes|garden|salary
The firefighters quickly put out the|fire|homework|soup|music
Apples grow on|trees|clouds|fish|bridges
Please lower the volume, the music is too|loud|purple|salty|wooden
The soup is too hot, wait until it|cools down|wakes up|gets married|learns to swim
The bird sat in its|nest|engine|wallet|homework
He paid for the ticket with|money|sand|leaves|feathers
They crossed the river by walking over the|bridge|song|pillow|recipe
The snow melted because the weather became|warm|hungry|wooden|honest
In the morning she ate eggs and toast for|breakfast|furniture|a bicycle|geography
The teacher wrote the word on the|board|milk|wind|apple
The sick boy stayed at home and rested in|bed|the oven|the mailbox|a teacup
The pilot landed the plane at the|airport|bakery|library|aquarium
Every evening he reads a story to his|children|carrots|windows|shoelaces
The gardener planted the seeds in the|soil|radio|ceiling|envelope
I sent the letter by|mail|spoon|onion|ladder
The mechanic repaired the|car|cloud|poem|river
She looked at the map because she was|lost|a teaspoon|delicious|made of wool
"""


def questions() -> Iterator[Question]:
    """Every question of every pattern."""
    yield from _kinds()
    for words in OPPOSITES.strip().split(";"):
        word, right, *wrong = words.split()
        yield Question("opposite", f"The opposite of {word} is", right, [*wrong, word])
    for line in CAPITALS.strip().splitlines():
        country, right, *wrong = line.split("|")
        yield Question("capital", f"The capital of {country} is", right, wrong)
    yield from _languages()
    yield from _forms()
    yield from _agreement()
    yield from _runs()
    yield from _uses()
    yield from _workers()
    yield from _sums()
    for pattern, lines in (("use", USES), ("sentence", CLOZES)):
        for line in lines.strip().splitlines():
            text, right, *wrong = line.split("|")
            yield Question(pattern, text, right, wrong)


def _kinds() -> Iterator[Question]:
    more = {"musical instrument": INSTRUMENTS, "piece of clothing": CLOTHES}
    kinds = KINDS | more
    for kind, words in kinds.items():
        for word in words.split():
            article = "An" if word[0] in "aeiou" else "A"
            subject = word.capitalize() if kind in {"metal", "color", "sport"} else None
            yield Question(
                "kind",
                f"{subject or f'{article} {word}'} is a kind of",
                kind,
                [other for other in kinds if other != kind],
            )


def _languages() -> Iterator[Question]:
    pairs = [pair.split() for pair in LANGUAGES.split(", ")]
    for country, right in pairs:
        wrong = sorted({other for _, other in pairs} - {right})
        yield Question("language", f"Most people in {country} speak", right, wrong)


def _forms() -> Iterator[Question]:
    for word, forms in PLURALS.items():
        right, *wrong = forms.split()
        yield Question("plural", f"I have one {word}. My friend has two", right, wrong)
    for today, forms in PASTS.items():
        right, *wrong = forms.split()
        rest = today.split(" ", 2)[2]
        yield Question(
            "past",
            f"Today {today}. Yesterday I",
            f"{right} {rest}",
            [f"{form} {rest}" for form in wrong],
        )
    for grades in GRADES.split(", "):
        base, more, most = grades.split()
        wrong = [f"{more}est", f"most {more}", f"{base}er"]
        yield Question("grade", f"The three forms are {base}, {more}, and", most, wrong)


def _agreement() -> Iterator[Question]:
    for right, subjects in (("is", SINGULAR), ("are", PLURAL)):
        for subject, rest in subjects:
            wrong = [verb for verb in ("is", "are", "am", "be") if verb != right]
            yield Question("agreement", subject, f"{right} {rest}", [f"{v} {rest}" for v in wrong])


def _runs() -> Iterator[Question]:
    for words in RUNS:
        run = words.split()
        for start in range(0, len(run) - 3):
            shown, right = run[start : start + 3], run[start + 3]
            wrong = [word for word in run if word not in {*shown, right}] + shown
            yield Question("run", f"{', '.join(shown)},", right, wrong[:6])


def _uses() -> Iterator[Question]:
    for text, answers in COLORS.items():
        right, *wrong = answers.split()
        yield Question("color", text, right, wrong)
    for animal, names in YOUNG.items():
        right, *wrong = names.split()
        yield Question("young", f"A young {animal} is called a", right, wrong)


def _workers() -> Iterator[Question]:
    for work, right in WORKERS.items():
        wrong = [other for other in WORKERS.values() if other != right]
        yield Question("worker", f"Someone who {work} is called a", right, wrong)


def _sums() -> Iterator[Question]:
    for a in range(1, 7):
        for b in range(1, 6):
            wrong = [str(a + b + off) for off in (-1, 1, 2, 3) if a + b + off > 0]
            yield Question("sum", f"{a} + {b} =", str(a + b), wrong)


def item(question: Question) -> dict[str, object]:
    """The question with its choices in an order drawn from its own text."""
    digest = hashlib.sha256(f"{question.pattern}|{question.text}".encode()).hexdigest()
    rng = random.Random(digest)
    choices = [question.right, *rng.sample(list(question.wrong), CHOICES - 1)]
    rng.shuffle(choices)
    return {
        "id": digest[:16],
        "pattern": question.pattern,
        "question": question.text,
        "choices": choices,
        "answer": choices.index(question.right),
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    rows = [item(question) for question in questions()]
    lines = [json.dumps(row, ensure_ascii=True) + "\n" for row in rows]
    arguments.out.write_text("".join(lines), encoding="utf-8")
    print(f"{len(rows)} items: {arguments.out}")


if __name__ == "__main__":
    main()
