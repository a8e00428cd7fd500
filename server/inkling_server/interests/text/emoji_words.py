"""Emoji to words: a pizza becomes "pizza", a surfer "surfing", a flag its country.

Faces, hearts, hands, arrows and other signs tell a mood, not a topic: they are left out. Names come
from the package `emoji`, of which this is the only importer.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

_JOINER = "\u200d"
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}"
    "|[#*0-9]\ufe0f?\u20e3"
    "|[\u2122\u2139\u203c\u2049\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001fbff]"
    "(?:[\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]|\u200d[\u2190-\U0001fbff])*"
)
_LEFTOVER = re.compile("[\ufe0e\ufe0f\u200b-\u200d\u2060\ufeff]")
_ANIMAL_FACE = re.compile(
    r"(cat|cow|dog|dragon|fox|horse|monkey|mouse|panda|pig|rabbit|tiger|wolf|clown)[ _]face"
)
_DOER = re.compile(
    r"(?:person|people|man|woman|men|women|mermaid|merman)(?: in| with| playing| getting)? "
)
_MOOD = re.compile(
    r"\b(?:face|heart|hearts|hand|hands|finger|fingers|thumbs|fist|kiss|mouth|lips|tongue|eyes?|"
    r"ear|nose|leg|foot|button|arrow|square|circle|diamond|mark|sign|symbol|bubble|dizzy|sparkles|"
    r"hundred|fire|boom|collision|anger|zzz|sweat|droplets|dash|keycap|o’clock|thirty|skull|"
    r"crossbones|pile of poo|dagger|star|triangle|trident|infinity|recycling|prohibited|no|"
    r"person|man|woman|boy|girl|baby|adult|family|couple|men|women|people|speech|thought|tears|"
    r"gesturing|facepalming|shrugging|bowing|raising|tipping|pouting|frowning|weary|pointing)\b"
)
# Words that only describe how the thing is drawn.
_DRAWING = re.compile(r"^(?:open|closed|four leaf(?= )|front-facing|steaming|clinking|sparkling) ")


def replace_emoji(text: str) -> str:
    """Puts each emoji's words in its place, set off by commas so that no phrase crosses them."""
    if text.isascii():
        return text
    previous = ""

    def words(found: re.Match[str]) -> str:
        nonlocal previous
        name = emoji_name(found[0])
        # Ten pizzas in a row say no more than one.
        if not name or name == previous:
            return " "
        previous = name
        return f" , {name} , "

    return _LEFTOVER.sub("", _EMOJI.sub(words, text))


def find_emoji(text: str) -> Iterator[tuple[int, int]]:
    """Where each emoji starts and ends, in order."""
    if not text.isascii():
        for found in _EMOJI.finditer(text):
            yield found.span()


@lru_cache(maxsize=1 << 13)
def emoji_name(symbol: str) -> str:
    """The topic of one emoji in lower case, "" for a mood or something unknown."""
    plain = _SKIN.sub("", symbol)
    for form in (plain, plain + "\ufe0f", plain.replace("\ufe0f", ""), plain.split(_JOINER)[0]):
        entry = _emoji_data().get(form)
        if entry is not None:
            break
    else:
        return ""
    name = str(entry["en"]).strip(":").replace("_", " ").replace("’", "'")
    if "\U0001f1e6" <= symbol[0] <= "\U0001f1ff":
        return name.replace("&", "and")
    if not name.isascii() or name.startswith(("Japanese", "flag")):
        return ""
    name = name.lower()
    face = _ANIMAL_FACE.fullmatch(name)
    if face:
        return face[1]
    name = _DOER.sub("", name, count=1)
    if _MOOD.search(name):
        return ""
    return _DRAWING.sub("", name)


@cache
def _emoji_data() -> dict[str, dict[str, Any]]:
    # Late: a gateway that reads no text does without it.
    import emoji

    return emoji.EMOJI_DATA
