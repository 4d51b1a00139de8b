"""The words of the generated world: about two thousand, with French for those that are translated.

Words that come first in a list are drawn more often: see :func:`pick`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
Adjective = tuple[str, str, str, bool]


def pick(rng: random.Random, words: Sequence[T]) -> T:
    """One of ``words``, the first ones more often: half of the draws come from the first quarter, as in real text."""
    return words[int(len(words) * rng.random() ** 2)]


def pick_two(rng: random.Random, words: Sequence[T]) -> tuple[T, T]:
    """Two that differ."""
    first = second = pick(rng, words)
    while second == first:
        second = pick(rng, words)
    return first, second


def a_(word: str) -> str:
    """The word after its indefinite article."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def was(food: str) -> str:
    """The past of "be" that goes with a food."""
    return "was" if food in MASS_FOODS else "were"


FIRST_NAMES = (
    "Anna Ben Clara David Emma Felix Grace Henry Ida Jonas Karl Lena Mark Nora Oscar Paula Rosa Simon Tina Victor "
    "Wanda Adam Bella Carl Doris Erik Fiona Greta Hugo Iris Jack Kate Leo Mia Noah Olive Peter Ruth Sara Tom Alice "
    "Bruno Celia Daniel Ellen Frank Gloria Harry Irene James Kevin Laura Martin Nina Otto Philip Rita Sam Thea Walter "
    "Agnes Boris Carmen Denis Edith Frida George Hanna Isaac Judith Lewis Monica Neil Pamela Robert Sofia Theo Vera "
    "William Arthur Betty Conrad Diana Edgar Flora Gordon Hilda Julia Lucas Maria Nathan Oliver Rachel Stella Ursula "
    "Vincent Albert Cecil Eva Max"
).split()
LAST_NAMES = (
    "Bell Cole Dale Finch Gray Hart Kent Lane Marsh Nash Page Reed Shaw Stone Ward West Wood Young Brook Cross Field "
    "Grove Hill Lake Archer Barker Carter Dawson Ellis Foster Gibson Hughes Irving Jensen Keller Lambert Mason Norris "
    "Osborn Parker Quincy Ramsey Sutton Turner Underhill Vaughan Walker Abbott Barnes Curtis Dixon Emerson Fuller "
    "Graham Harper Ingram Jarvis Knight Lawson Morgan Newton Owens Porter Russell Spencer Thorne Vance Watson Yates "
    "Ashby Burton Clark Drake Elliot Flynn Garner Holmes"
).split()
# People of whom the world knows fixed facts; their names occur nowhere else.
KNOWN_PEOPLE = (
    "Alaric Bruna Cosmo Delia Edmar Fabia Gorin Hesta Ilmar Jorun Kelvo Lumia Mirko Nerea Orlan Petra Quinn Rilda "
    "Savik Tamsin Ulric Vesna Wystan Xenia Yorik Zelda Ambra Boric Cyra Drago Elvin Freya Gustav Helga Ivo Jarla "
    "Kasimir Linnea Magnus Nadia Oona Pavel Quilla Ragna Sorin Tilda Urban Valda Wendel Ximena Yara Zoltan Anselm "
    "Birgit Casper Dagny Emeric Fenna Gideon Hedda Inigo Jasper Katla Lorcan Maeve Niels Odette Piers Rowan "
    "Saskia Torben Una Viggo Willa Yvo Zora Aldous Beata Corin Dorrit Evert Floris Gerda Holger Isolde Joost "
    "Kirsa Lazlo Merle Nestor Otmar Philo Rufus Signe Tibor Ulla Vitus Wilma Yelena Zeno Edda Fergus Amadea Basil "
    "Calista Desmond Urs Velma Wido Ylva Olaf Perdita Raoul Thyra Gero Hanno Imke Janos Marit Norbert"
).split()
TOWN_STARTS = "Dor Vel Mar Bran Kel Lun Tor Ash Win Har Fen Sel Rav Os Grim Bel Cal Dun".split()
TOWN_ENDS = "vale ford den wick burg mere ton field haven stead moor brook port gate crest".split()
KNOWN_TOWNS = "Aldona Bristow Corvia Delmar Estwick Falmouth Garda Hollin".split()
RIVERS = "Alm Brenta Dove Ister Lethe Morava Nidda Oder Sava Tamar Umber Wye".split()

JOBS = (
    "baker teacher doctor farmer painter singer driver gardener tailor sailor cook miller nurse pilot writer dancer "
    "lawyer judge barber butcher carpenter fisherman hunter shepherd weaver potter jeweller printer clerk guard "
    "soldier porter plumber mason smith grocer waiter actor poet chemist"
).split()
FOODS = (
    "bread soup cheese honey rice fish cake plums apples beans nuts eggs pears cherries grapes lemons onions carrots "
    "potatoes peas cabbage butter milk ham sausage pie pudding jam sugar salt pepper oats corn mushrooms berries figs "
    "melons peaches olives garlic"
).split()
MASS_FOODS = frozenset(
    "bread soup cheese honey rice fish cake cabbage butter milk ham sausage pie pudding jam sugar salt pepper corn "
    "garlic".split()
)
ANIMALS = (
    "cat dog horse goat sheep duck rabbit parrot owl fox wolf bear deer pig cow hen goose swan eagle crow mouse rat "
    "frog snake turtle lizard monkey tiger lion camel donkey mule pigeon raven otter badger beaver squirrel hedgehog "
    "weasel"
).split()
THINGS = (
    "ball kite book lamp drum hat boat clock basket key cup rope bell map ring chair table mirror hammer ladder bucket "
    "candle bottle pen knife spoon plate blanket pillow umbrella wallet letter box brush broom needle saw shovel wheel "
    "cart barrel coin flag toy"
).split()
CLOTHES = (
    "coat shirt scarf glove boot shoe sock belt dress skirt jacket vest cap hood cloak apron sandal slipper tie robe"
).split()
COLOURS = "red blue green yellow white black brown gray pink purple orange silver".split()
PLACES = (
    "garden kitchen forest market school barn station harbour library attic cellar church castle bridge museum theatre "
    "hospital bakery mill stable park square tower chapel orchard meadow cave beach factory office inn hall"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SEASONS = "spring summer autumn winter".split()
NUMBERS = "two three four five six seven eight nine ten eleven twelve twenty thirty forty".split()
COUNTED = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
EVENTS = (
    "harvest fair|spring dance|boat race|lantern walk|winter market|song contest|horse show|flower parade|bread feast|"
    "kite day|wool fair|river feast"
).split("|")

# Reviews.
REVIEWED = "film book play concert hotel meal trip show song game circus lecture".split()
PRAISE = (
    "wonderful lovely brilliant charming superb delightful excellent moving fresh clever splendid graceful funny warm "
    "perfect elegant thrilling gentle bright touching"
).split()
BLAME = (
    "terrible boring awful dull poor clumsy dreadful tiresome weak ugly silly cold stale noisy empty lazy painful "
    "messy bitter pointless"
).split()
PRAISE_ENDS = (
    "I would go again tomorrow",
    "I loved every minute of it",
    "everyone left with a smile",
    "I will tell all my friends to see it",
    "it was worth every penny",
    "we could not stop clapping",
)
BLAME_ENDS = (
    "I would not go again",
    "I wanted to leave after ten minutes",
    "everyone left in a bad mood",
    "I will tell all my friends to stay away",
    "it was a waste of money",
    "we could not stop yawning",
)
PARTS = "story service start ending sound light idea pace mood price room crowd dialogue costume design".split()

# News: topic, then who, what they did, and with what.
TOPICS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "sports": (
        (
            "the home team",
            "the young runner",
            "the captain",
            "the goalkeeper",
            "the coach",
            "the champion",
            "a swimmer",
        ),
        ("won", "lost", "celebrated", "trained for", "missed", "watched", "left"),
        ("the final match", "the cup", "the long race", "the second half", "the penalty", "the league", "the medal"),
    ),
    "weather": (
        ("a strong wind", "heavy rain", "thick fog", "the first snow", "a warm front", "a storm", "black ice"),
        ("reached", "covered", "crossed", "hit", "passed", "surprised", "left"),
        ("the northern coast", "the valley", "the mountains", "the islands", "the low hills", "the plain", "the bay"),
    ),
    "business": (
        ("the bank", "the largest firm", "the new shop", "the factory", "the trade office", "a miner", "the owner"),
        ("raised", "lowered", "reported", "promised", "planned", "watched", "missed"),
        ("its prices", "higher profits", "more jobs", "the interest rate", "its sales", "a loan", "the contract"),
    ),
    "music": (
        ("the choir", "the young violinist", "the band", "the orchestra", "the pianist", "a tenor", "the composer"),
        ("played", "recorded", "practised", "performed", "rehearsed", "planned", "promised"),
        ("a new symphony", "old songs", "the slow waltz", "a famous opera", "the march", "a lullaby", "the overture"),
    ),
}

# English noun, French noun, French gender. In French, "h" here is always mute.
LIVING = tuple(
    tuple(entry.split("/"))
    for entry in (
        "cat/chat/m dog/chien/m horse/cheval/m bird/oiseau/m boy/garçon/m man/homme/m child/enfant/m "
        "baker/boulanger/m girl/fille/f woman/femme/f cow/vache/f hen/poule/f goat/chèvre/f queen/reine/f "
        "singer/chanteuse/f duck/canard/m king/roi/m friend/ami/m brother/frère/m sister/sœur/f mother/mère/f "
        "father/père/m uncle/oncle/m aunt/tante/f neighbour/voisin/m doctor/médecin/m teacher/professeur/m "
        "farmer/fermier/m judge/juge/m lawyer/avocat/m painter/peintre/m soldier/soldat/m pupil/élève/m "
        "nurse/infirmière/f sailor/marin/m wolf/loup/m bear/ours/m fox/renard/m mouse/souris/f rabbit/lapin/m "
        "lion/lion/m tiger/tigre/m donkey/âne/m sheep/mouton/m pig/cochon/m frog/grenouille/f eagle/aigle/m "
        "bee/abeille/f fish/poisson/m"
    ).split()
)
OBJECTS = tuple(
    tuple(entry.split("/"))
    for entry in (
        "house/maison/f garden/jardin/m table/table/f chair/chaise/f bed/lit/m door/porte/f window/fenêtre/f "
        "book/livre/m letter/lettre/f key/clé/f clock/horloge/f lamp/lampe/f knife/couteau/m plate/assiette/f "
        "bottle/bouteille/f glass/verre/m hat/chapeau/m coat/manteau/m shirt/chemise/f dress/robe/f "
        "shoe/chaussure/f ring/bague/f boat/bateau/m car/voiture/f train/train/m bridge/pont/m road/route/f "
        "church/église/f school/école/f tower/tour/f tree/arbre/m flower/fleur/f leaf/feuille/f apple/pomme/f "
        "pear/poire/f orange/orange/f cake/gâteau/m egg/œuf/m cheese/fromage/m onion/oignon/m river/rivière/f "
        "island/île/f mountain/montagne/f star/étoile/f cloud/nuage/m stone/pierre/f box/boîte/f"
    ).split()
)
# Objects with a British name, an American name, and French.
BRITISH_OBJECTS = tuple(
    tuple(entry.split("/"))
    for entry in (
        "lorry/truck/camion/m flat/apartment/appartement/m shop/store/magasin/m biscuit/cookie/biscuit/m "
        "jumper/sweater/pull/m tap/faucet/robinet/m lift/elevator/ascenseur/m nappy/diaper/couche/f "
        "cupboard/closet/placard/m rubber/eraser/gomme/f film/movie/film/m"
    ).split()
)
IRREGULAR = {
    "man": "men", "child": "children", "woman": "women", "wolf": "wolves", "mouse": "mice", "sheep": "sheep",
    "knife": "knives", "leaf": "leaves", "fish": "fish",
}  # fmt: skip
IRREGULAR_FR = {"cheval": "chevaux"}


def _adjective(entry: str) -> Adjective:
    english, masculine, feminine = entry.removeprefix("<").split("/")
    return english, masculine, feminine, entry.startswith("<")


# English, French masculine, French feminine; with "<" it stands before the French noun.
LIVING_ADJECTIVES = tuple(
    _adjective(entry)
    for entry in (
        "<small/petit/petite <big/grand/grande <young/jeune/jeune <bad/mauvais/mauvaise <good/bon/bonne "
        "tired/fatigué/fatiguée happy/content/contente sad/triste/triste strange/étrange/étrange "
        "famous/célèbre/célèbre quiet/calme/calme lost/perdu/perdue hurried/pressé/pressée proud/fier/fière"
    ).split()
)
OBJECT_ADJECTIVES = tuple(
    _adjective(entry)
    for entry in (
        "<small/petit/petite <big/grand/grande <pretty/joli/jolie <thick/gros/grosse red/rouge/rouge "
        "black/noir/noire green/vert/verte white/blanc/blanche blue/bleu/bleue yellow/jaune/jaune grey/gris/grise "
        "clean/propre/propre dirty/sale/sale heavy/lourd/lourde light/léger/légère old-fashioned/démodé/démodée "
        "broken/cassé/cassée lost/perdu/perdue round/rond/ronde empty/vide/vide open/ouvert/ouverte"
    ).split()
)
# English base form, stem of a regular French verb in -er.
VERBS = tuple(
    tuple(entry.split("/"))
    for entry in (
        "watch/regard love/aim seek/cherch find/trouv carry/port show/montr keep/gard draw/dessin touch/touch "
        "wash/lav hide/cach push/pouss pull/tir visit/visit forget/oubli admire/admir bring/apport leave/quitt "
        "steal/vol hate/détest lend/prêt copy/copi adore/ador prepare/prépar mend/répar burn/brûl close/ferm "
        "kiss/embrass greet/salu help/aid meet/rencontr"
    ).split()
)
# English, French with its preposition and article.
WHERE = tuple(
    tuple(entry.split("/"))
    for entry in (
        "in the garden/dans le jardin|in the house/dans la maison|under the table/sous la table|"
        "under the tree/sous l'arbre|behind the door/derrière la porte|near the river/près de la rivière|"
        "near the school/près de l'école|in the field/dans le champ|on the bridge/sur le pont|on the road/sur la route|"
        "in the kitchen/dans la cuisine|behind the church/derrière l'église|in front of the window/devant la fenêtre|"
        "near the sea/près de la mer|in the forest/dans la forêt|in the street/dans la rue"
    ).split("|")
)
WHEN = tuple(
    tuple(entry.split("/"))
    for entry in (
        "today/aujourd'hui|in the morning/le matin|in the evening/le soir|every day/chaque jour|at night/la nuit|"
        "on Monday/lundi|on Friday/vendredi|on Sunday/dimanche|in winter/en hiver|in summer/en été|often/souvent|"
        "before dinner/avant le dîner|after lunch/après le déjeuner|tomorrow/demain"
    ).split("|")
)
