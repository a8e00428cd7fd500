"""Finds the words of a text, as they were sent, that a mention was read from.

Reading cleans: emoji become words, hashtags are split, slang is spelled out, stretched words are
shortened. So a mention's words need not stand in the text. They are looked for as plain words, then
within hashtags, emoji, slang and stretched words; what first names the interest is quoted. Text
that only exists after HTML entities are resolved is not found. It knows no interests.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from inkling_server.interests.mentions.table import words_of
from inkling_server.interests.text.elongations import shorten
from inkling_server.interests.text.emoji_words import emoji_name, find_emoji
from inkling_server.interests.text.hashtags import split_hashtag
from inkling_server.interests.text.slang import slang

MAX_QUOTE_CHARACTERS = 100
_PIECE = re.compile(r"[#＃]?[^\W_]+")
_MARKUP = re.compile(r"<[/!]?[a-zA-Z][^<>]{0,500}>")

# A hostile text repeats what names begin with, or consists of hashtags and emoji.
_MOST_TRIES = 200
_MOST_HASHTAGS = 128
_MOST_EMOJI = 1_000
_LONGEST_NAME = 8  # words

Place = tuple[int, int]


class Quoter:
    """An index of the words of some texts, in their order; built once, asked often.

    Args:
        texts: as they were sent.
        hashtags: the same; they come before the texts.
    """

    def __init__(self, texts: Sequence[str], hashtags: Sequence[str] = ()) -> None:
        self._text = "\n".join((*hashtags, *texts))
        self._words: list[tuple[str, Place]] = []
        self._hashtags: list[tuple[str, Place]] = []
        self._numbers: dict[str, list[int]] = defaultdict(list)
        self._disguised: dict[str, Place] | None = None
        self._tagged: dict[str, Place] | None = None
        start = 0
        for hashtag in hashtags:
            self._hashtags.append((hashtag, (start, start + len(hashtag))))
            start += len(hashtag) + 1
        for text in texts:
            self._add(text, start)
            start += len(text) + 1

    def _add(self, text: str, start: int) -> None:
        # Blanks of equal length: places stay those of the original.
        shown = _MARKUP.sub(lambda tag: " " * len(tag[0]), text)
        for piece in _PIECE.finditer(shown):
            place = (start + piece.start(), start + piece.end())
            if piece[0][0] in "#＃":
                self._hashtags.append((piece[0][1:], place))
            for word in words_of(piece[0]):
                self._numbers[word].append(len(self._words))
                self._words.append((word, place))
        # No word: names do not go from one text into the next.
        self._words.append(("", (start, start)))

    def quote(self, words: str) -> str:
        """What first names the words, at most 100 characters; "" where it cannot be found.

        Args:
            words: of a mention, see `matching.Mention`.
        """
        wanted = words_of(words)
        key = " ".join(wanted)
        if not wanted:
            return ""
        if self._disguised is None:
            self._disguised = _runs(self._spoken())
        places = (self._plain(wanted), self._tags().get(key), self._disguised.get(key))
        return self._shown(min((place for place in places if place is not None), default=None))

    def quote_hashtag(self, words: str) -> str:
        """The first hashtag that names the words, as `quote`."""
        return self._shown(self._tags().get(" ".join(words_of(words))))

    def _shown(self, place: Place | None) -> str:
        return "" if place is None else self._text[slice(*place)][:MAX_QUOTE_CHARACTERS]

    def _plain(self, wanted: tuple[str, ...]) -> Place | None:
        for first in self._numbers.get(wanted[0], ())[:_MOST_TRIES]:
            run = self._words[first : first + len(wanted)]
            if tuple(word for word, _ in run) == wanted:
                return run[0][1][0], run[-1][1][1]
        return None

    def _tags(self) -> dict[str, Place]:
        if self._tagged is None:
            self._tagged = _runs(
                (" ".join((*map(shorten, split_hashtag(tag)), slang().get(tag.lower(), ""))), place)
                for tag, place in self._hashtags[:_MOST_HASHTAGS]
            )
        return self._tagged

    def _spoken(self) -> Iterator[tuple[str, Place]]:
        """What reading turns into other words."""
        for start, end in islice(find_emoji(self._text), _MOST_EMOJI):
            yield emoji_name(self._text[start:end]), (start, end)
        for word, place in self._words:
            meaning = slang().get(word)
            if meaning:
                yield meaning, place
            elif (shortened := shorten(word)) != word:
                yield shortened, place


def _runs(spoken: Iterable[tuple[str, Place]]) -> dict[str, Place]:
    """Every run of words that is said, with where that is first."""
    places: dict[str, Place] = {}
    for words, place in spoken:
        said = words_of(words)
        for start in range(len(said)):
            for end in range(start + 1, min(len(said), start + _LONGEST_NAME) + 1):
                places.setdefault(" ".join(said[start:end]), place)
    return places
