"""Short videos: like posts, with more slang, text on the picture, and speech."""

import re

from inkling_server.interests.content import ContentItem
from inkling_server.interests.sources.base import Passage, SourceText
from inkling_server.interests.sources.user_generated import UserGenerated
from inkling_server.interests.text.document import Field
from inkling_server.interests.text.slang import expand_slang

# What speech recognition adds: "[Music]", "(applause)", "00:01:12,500 --> 00:01:15", speaker marks.
_SOUND = re.compile(r"\[[^\[\]\n]{0,60}\]|\([a-z ]{0,30}\)|[♪♫]+", re.IGNORECASE)
_TIMES = re.compile(r"^\s*(?:\d+\s*$|(?:\d+:)?\d+:\d+[.,]?\d*(?:\s*-->\s*[\d:.,]+)?)", re.MULTILINE)
_SPEAKER = re.compile(r"^\s*(?:>>+|-)\s*", re.MULTILINE)
_HESITATION = re.compile(r"\b(?:um+|uh+|erm?|hmm+|you know,|i mean,)(?!\w)", re.IGNORECASE)


class ShortVideo:
    """Reads short videos."""

    def __init__(self) -> None:
        self._posts = UserGenerated()

    def read(self, item: ContentItem) -> SourceText:
        """Cleans as posts, then expands slang; speech loses its recogniser's marks."""
        text = self._posts.read(item)
        passages = []
        for field, passage in text.passages:
            if field in (Field.TRANSCRIPT, Field.SPEECH):
                passage = _clean_speech(passage)
            expanded = passage if field is Field.LOCATION else expand_slang(passage)
            if expanded.strip():
                passages.append(Passage(field, expanded.strip()))
        # A hashtag that is slang as a whole becomes its meaning: #grwm.
        hashtags = (expand_slang(hashtag) for hashtag in text.hashtags)
        return SourceText(tuple(passages), tuple(hashtag for hashtag in hashtags if hashtag))


def _clean_speech(text: str) -> str:
    for pattern in (_SOUND, _TIMES, _SPEAKER, _HESITATION):
        text = pattern.sub(" ", text)
    return text
