"""The words of the generated world. English and French entries are pairs where they are translated."""

from __future__ import annotations

FIRST_NAMES = (
    "Anna Ben Clara David Emma Felix Grace Henry Ida Jonas Karl Lena Mark Nora Oscar Paula Rosa Simon "
    "Tina Victor Wanda Adam Bella Carl Doris Erik Fiona Greta Hugo Iris Jack Kate Leo Mia Noah Olive Peter Ruth "
    "Sara Tom"
).split()
LAST_NAMES = (
    "Bell Cole Dale Finch Gray Hart Kent Lane Marsh Nash Page Reed Shaw Stone Ward West Wood Young Brook Cross "
    "Field Grove Hill Lake"
).split()
# People of whom the world knows fixed facts; their names occur nowhere else.
KNOWN_PEOPLE = (
    "Alaric Bruna Cosmo Delia Edmar Fabia Gorin Hesta Ilmar Jorun Kelvo Lumia Mirko Nerea Orlan Petra Quinn Rilda "
    "Savik Tamsin Ulric Vesna Wystan Xenia Yorik Zelda Ambra Boric Cyra Drago Elvin Freya Gustav Helga Ivo Jarla "
    "Kasimir Linnea Magnus Nadia"
).split()
TOWN_STARTS = "Dor Vel Mar Bran Kel Lun Tor Ash Win Har Fen Sel Rav Os Grim Bel Cal Dun El Nor".split()
TOWN_ENDS = "vale ford den wick burg mere ton field haven stead moor brook port gate crest".split()
KNOWN_TOWNS = "Aldona Bristow Corvia Delmar Estwick Falmouth Garda Hollin".split()

JOBS = "baker teacher doctor farmer painter singer driver gardener tailor sailor cook miller".split()
FOODS = "bread soup cheese honey rice fish cake plums apples beans nuts eggs".split()
ANIMALS = "cat dog horse goat sheep duck rabbit parrot owl fox".split()
THINGS = "ball kite book lamp drum hat boat clock basket key cup rope bell map ring chair".split()
COLOURS = "red blue green yellow white black brown gray".split()
PLACES = "garden kitchen forest market school barn station harbour library attic".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SEASONS = "spring summer autumn winter".split()
NUMBERS = "two three four five six seven eight nine".split()

# Reviews.
REVIEWED = "film book play concert hotel meal trip show song game".split()
PRAISE = "wonderful lovely brilliant charming superb delightful excellent moving fresh clever".split()
BLAME = "terrible boring awful dull poor clumsy dreadful tiresome weak ugly".split()
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
PARTS = "story music cast service start ending sound light idea pace".split()

# News: topic, then who, what they did, and with what.
TOPICS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "sports": (
        ("the home team", "the young runner", "the captain", "the goalkeeper", "the coach"),
        ("won", "lost", "celebrated after", "trained hard for", "missed"),
        ("the final match", "the cup", "the long race", "the second half", "the penalty"),
    ),
    "weather": (
        ("a strong wind", "heavy rain", "thick fog", "the first snow", "a warm front"),
        ("reached", "covered", "moved over", "spread across", "passed"),
        ("the northern coast", "the valley", "the mountains", "the islands", "the low hills"),
    ),
    "business": (
        ("the bank", "the largest firm", "the new shop", "the factory", "the trade office"),
        ("raised", "lowered", "reported", "promised", "planned"),
        ("its prices", "higher profits", "more jobs", "the interest rate", "its sales"),
    ),
    "music": (
        ("the choir", "the young violinist", "the band", "the orchestra", "the pianist"),
        ("played", "recorded", "practised", "performed", "rehearsed"),
        ("a new symphony", "three old songs", "the slow waltz", "a famous opera", "the opening march"),
    ),
}

# English noun, French noun, French gender. In French, "h" here is always mute.
NOUNS = (
    ("cat", "chat", "m"),
    ("dog", "chien", "m"),
    ("horse", "cheval", "m"),
    ("bird", "oiseau", "m"),
    ("boy", "garçon", "m"),
    ("man", "homme", "m"),
    ("child", "enfant", "m"),
    ("baker", "boulanger", "m"),
    ("girl", "fille", "f"),
    ("woman", "femme", "f"),
    ("cow", "vache", "f"),
    ("hen", "poule", "f"),
    ("goat", "chèvre", "f"),
    ("queen", "reine", "f"),
    ("singer", "chanteuse", "f"),
    ("duck", "canard", "m"),
)
IRREGULAR = {"man": "men", "child": "children", "woman": "women"}
IRREGULAR_FR = {"cheval": "chevaux", "oiseau": "oiseaux"}
# English, French masculine, French feminine, whether it stands before the noun.
ADJECTIVES = (
    ("small", "petit", "petite", True),
    ("big", "grand", "grande", True),
    ("young", "jeune", "jeune", True),
    ("bad", "mauvais", "mauvaise", True),
    ("red", "rouge", "rouge", False),
    ("black", "noir", "noire", False),
    ("green", "vert", "verte", False),
    ("white", "blanc", "blanche", False),
    ("tired", "fatigué", "fatiguée", False),
    ("happy", "content", "contente", False),
)
# English base and third person, French third person singular and plural.
VERBS = (
    ("sleep", "sleeps", "dort", "dorment"),
    ("eat", "eats", "mange", "mangent"),
    ("sing", "sings", "chante", "chantent"),
    ("wait", "waits", "attend", "attendent"),
    ("play", "plays", "joue", "jouent"),
    ("run", "runs", "court", "courent"),
    ("work", "works", "travaille", "travaillent"),
    ("laugh", "laughs", "rit", "rient"),
)
# English, French with its preposition and article.
WHERE = (
    ("in the garden", "dans le jardin"),
    ("in the house", "dans la maison"),
    ("under the table", "sous la table"),
    ("under the tree", "sous l'arbre"),
    ("behind the door", "derrière la porte"),
    ("near the river", "près de la rivière"),
    ("near the school", "près de l'école"),
    ("in the field", "dans le champ"),
    ("on the bridge", "sur le pont"),
    ("on the road", "sur la route"),
)
WHEN = (
    ("today", "aujourd'hui"),
    ("in the morning", "le matin"),
    ("in the evening", "le soir"),
    ("every day", "chaque jour"),
    ("at night", "la nuit"),
)
