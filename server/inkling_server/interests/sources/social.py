"""Cleans posts: what user-generated items and short videos have in common.

    markup, links, addresses, mentions off ─► emoji to words ─► hashtags ─► stretched words

A hashtag inside a sentence becomes its words there ("I love #foodielife" -> I love foodie life);
one of a block, or one that stands alone, is handed back by itself. Platform tags ("#fyp") go.
Knows no item and no source.
"""

import html
import re
from functools import cache
from typing import NamedTuple

from inkling_server.interests.text.elongations import shorten_elongations
from inkling_server.interests.text.emoji_words import replace_emoji
from inkling_server.interests.text.hashtags import split_hashtag
from inkling_server.interests.text.lexicons import read_lines

_MARKUP = re.compile(r"<[/!]?[a-zA-Z][^<>]{0,500}>")
_LINK = re.compile(
    r"(?:https?://|www\.)\S+"
    r"|\b(?:[a-z0-9-]{1,63}\.){1,4}(?:com|net|org|ly|gl|me|tv|co|be|gg|io|in|de|fr|uk|us)/\S*",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_MENTION = re.compile(r"(?<![\w@])@(?:[^\W_]|_)[\w.-]*(?<![.-])|(?<!\w)/?u/[\w-]{2,}")
_RETWEET = re.compile(r"^\s*RT\s*:?\s+", re.MULTILINE)
_HASHTAG = re.compile(r"(?<![\w&#])[#＃](\w+)")
# Two or more at the end of a line, or nothing but hashtags.
_BLOCK = re.compile(r"(?:^|(?<=\s))(?:[#＃]\w+[\s.,;|/·•…-]*){2,}$|^\W*[#＃]\w+\W*$")
_AFTER_SENTENCE = re.compile(r"(?<=[.!?…,:)\]])\s*[#＃](\w+)\s*$")
_FILLER_LINE = re.compile(r"^[\s.,;:|/·•…*~_=-]+$")
_SPACES = re.compile(r"[ \t\f\v\u00a0\u2000-\u200a\u3000]+")
_LOOSE_COMMAS = re.compile(r"(?:\s*,){2,}")
_EDGE_COMMAS = re.compile(r"^[\s,]+|[\s,]+$|\s+,(?=\s*[.!?])")


class Post(NamedTuple):
    """A cleaned post.

    Attributes:
        text: may be "".
        hashtags: those that are no part of a sentence.
        spoken_hashtags: those that became words of the text.
    """

    text: str
    hashtags: tuple[str, ...]
    spoken_hashtags: tuple[str, ...]


@cache
def platform_tags() -> frozenset[str]:
    """Hashtags that ask for reach; lower case."""
    return frozenset(read_lines("platform_tags.txt"))


def is_topic(hashtag: str) -> bool:
    """Not a platform tag, and not only digits."""
    return not hashtag.isdigit() and hashtag.lower() not in platform_tags()


def clean_post(text: str) -> Post:
    """Cleans one post, comment or overlay."""
    if not text or text.isspace():
        return Post("", (), ())
    lines = []
    alone: list[str] = []
    spoken: list[str] = []
    for line in replace_emoji(_strip(text)).splitlines():
        if "#" in line or "＃" in line:
            line = _take_hashtags(line, alone, spoken)
        line = _tidy(line)
        if line:
            lines.append(line)
    cleaned = shorten_elongations("\n".join(lines))
    return Post(cleaned, tuple(filter(is_topic, alone)), tuple(spoken))


def merge_hashtags(item_hashtags: tuple[str, ...], *posts: Post) -> tuple[str, ...]:
    """Each hashtag once: those of the item's list, then the posts', without those in sentences."""
    seen = {hashtag.lower() for post in posts for hashtag in post.spoken_hashtags}
    merged = []
    listed = (hashtag.strip().lstrip("#＃") for hashtag in item_hashtags)
    for hashtag in (*listed, *(hashtag for post in posts for hashtag in post.hashtags)):
        key = hashtag.lower()
        if hashtag and key not in seen and is_topic(hashtag):
            seen.add(key)
            merged.append(hashtag)
    return tuple(merged)


def _strip(text: str) -> str:
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _MARKUP.sub(" ", text)
    if "/" in text or "www" in text:
        text = _LINK.sub(" ", text)
    if "@" in text or "u/" in text:
        text = _MENTION.sub(" ", _ADDRESS.sub(" ", text))
    return _RETWEET.sub("", text)


def _take_hashtags(line: str, alone: list[str], spoken: list[str]) -> str:
    for pattern in (_BLOCK, _AFTER_SENTENCE):
        block = pattern.search(line)
        if block:
            alone += _HASHTAG.findall(block[0])
            line = line[: block.start()]

    def words(found: re.Match[str]) -> str:
        if not is_topic(found[1]):
            return found[1] if found[1].isdigit() else " "
        spoken.append(found[1])
        return " ".join(split_hashtag(found[1]))

    return _HASHTAG.sub(words, line)


def _tidy(line: str) -> str:
    if _FILLER_LINE.match(line):
        return ""
    line = _LOOSE_COMMAS.sub(",", _SPACES.sub(" ", line))
    return _EDGE_COMMAS.sub("", line).strip()
