"""English articles: "a dog", "an hour", "jeans", "rice", "Halifax".

Plurals, names, mass nouns, activities and adjectives stand without one. Told from the server's word
lists (plurals, kinds of nouns) and a list of common mass nouns; where nothing is known of a word,
it is left without. It knows phrases, not sentences.
"""

from functools import lru_cache

from inkling_server.interests.noun_kinds import NounKind, noun_kinds
from inkling_server.interests.phrases.tag_lexicon import guess_tag, load_lexicon
from inkling_server.interests.text.inflections import singular, verb_base
from inkling_server.interests.text.lexicons import read_words

# Kinds whose nouns can mostly be counted.
_COUNTED = frozenset(
    {
        "animal",
        "artifact",
        "body",
        "communication",
        "event",
        "food",
        "group",
        "location",
        "object",
        "person",
        "plant",
        "shape",
    }
)
_PLURALS = frozenset({"cattle", "clothes", "folk", "livestock", "people", "police", "wildlife"})
# Food, materials, nature, sports.
_MASS = frozenset(
    """
    advice aluminum architecture art asparagus asphalt bacon ballet bamboo baseball basil
    basketball batter bedding beef beer bread broccoli broth butter cabbage calligraphy candy
    caviar celery cereal champagne cheese chess chicken chocolate cider cilantro cinnamon clay
    cloth clothing coal coffee concrete corn cotton cream cricket cuisine curry denim dirt dough
    dust electronics embroidery equipment espresso fabric fashion film fire firewood fish flour
    foam fog foliage food football footwear fruit fur furniture garlic ginger glass glassware
    gold golf graffiti grass gravel gravy gymnastics hair ham hardware hay headwear hockey honey
    hummus ice ink iron ivy jam jazz jewelry judo juice karate ketchup lace lacrosse lamb land
    laughter leather lettuce lightning linen liquor literature luggage lumber machinery makeup
    marble mayonnaise meat media metal milk mint moss mozzarella mud music mustard nature news
    oatmeal oil outerwear paint paper parmesan parsley pasta pepper plastic poetry poker polo
    popcorn pork pottery produce rain ramen rice risotto rugby rum salmon salsa salt sand sauce
    scenery seafood silk silver silverware smoke snow soap soccer soda softball software soil
    soup soy spaghetti spice spinach steak steel stone straw string sugar sunlight sushi
    swimwear syrup tableware tea technology tennis tequila toast tofu traffic transportation
    tuna turkey underwear vegetation velvet vinegar vodka volleyball water wax weather whiskey
    wine wood wool writing yarn yeast yoga yogurt
    """.split()  # noqa: SIM905 - a word list
)
_NOUN = 0.4  # share of a word's uses from which it is taken for a noun
_VOWELS = "aeiou"
# Begin with a consonant's sound, or with a vowel's.
_LIKE_YOU = ("eu", "ewe", "one-", "uke", "ukulele", "uni", "us", "ut", "u-")
_LIKE_UN = ("unim", "unin", "unid", "unil", "us-", "ush", "utm", "utt")
_SILENT_H = ("heir", "honest", "honor", "honour", "hour", "herb")


@lru_cache(maxsize=1 << 16)
def with_article(phrase: str) -> str:
    """The phrase as it stands in a sentence: with "a" or "an" where it wants one."""
    return f"{article(phrase)} {phrase}" if wants_article(phrase) else phrase


def wants_article(phrase: str) -> bool:
    """Whether it is one thing that can be counted."""
    if phrase != phrase.lower():
        return False
    words = phrase.split()
    if "of" in words[1:]:
        words = words[: words.index("of")]  # "cup of coffee": a cup
    head = words[-1] if words else ""
    if not head or head in _MASS or is_plural(head):
        return False
    if len(words) > 1 and _is_activity(words):
        return False
    found = _kind(words)
    if found is None or found.is_proper or found.kind not in _COUNTED:
        return False
    if len(words) == 1 and found.noun_share < _NOUN:
        return False  # mostly a verb or an adjective
    tag = load_lexicon().get(head) or guess_tag(head)
    return len(words) > 1 or not tag.startswith("JJ")


def is_plural(word: str) -> bool:
    """Whether a lower-case noun is a plural: "dogs", "children", "jeans"."""
    if word in _PLURALS or word in _plural_only():
        return True
    return singular(word) != word


def article(phrase: str) -> str:
    """ "a" or "an", by the first word's sound."""
    word = phrase.casefold()
    if word.startswith(_SILENT_H):
        return "an"
    if word.startswith(_LIKE_YOU) and not word.startswith(_LIKE_UN):
        return "a"
    return "an" if word[:1] in _VOWELS and word[:1] else "a"


@lru_cache(maxsize=1)
def _plural_only() -> frozenset[str]:
    """Nouns that have no singular."""
    return read_words("plural_only.txt")


def _is_activity(words: list[str]) -> bool:
    """Whether it begins with what somebody does, "playing guitar"; not so a "rocking horse"."""
    first = words[0]
    is_verb = first.endswith("ing") and verb_base(first) != first
    return is_verb and " ".join(words) not in noun_kinds()


def _kind(words: list[str]) -> NounKind | None:
    """What the phrase names, else what its last words do."""
    for start in range(len(words)):
        found = noun_kinds().get(" ".join(words[start:]))
        if found is not None:
            return found
    return None
