"""From an item's texts to evidence for interests.

    item ─► tamed ─► InterestMatcher ─► mentions ─► Witnesses ─► Evidence by row and source
                                           └─► Quoter, where asked for ─┘

Texts of requests come from strangers: runs of emoji and of long hashtags, which take by far the
longest to read, are cut before. It knows no pictures, no scores and no threads.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from inkling_server.interests.content import ContentItem
from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.evidence import SOURCE_RELIABILITIES, Evidence
from inkling_server.interests.mentions.matching import InterestMatcher, Mention
from inkling_server.interests.mentions.quoting import Quoter
from inkling_server.interests.mentions.reliability import Reliability, Witnesses
from inkling_server.interests.text.document import Field

RowEvidence = Mapping[int, tuple[Evidence, ...]]

# Nobody means more interests than this with one item; the weightiest stay.
MAX_ROWS = 500
_PROSE = ("title", "caption", "overlay_text", "body", "transcript", "speech", "location")
_LEAST_CONFIDENCE = 0.01  # an agreement is above 0
_MOST_HASHTAGS = 64  # in running text
_LONGEST_HASHTAG = 40  # characters; splitting longer ones into words takes milliseconds each
_MOST_EMOJI = 500
_LONG_HASHTAG = re.compile(rf"[#＃](?=\w{{{_LONGEST_HASHTAG + 1}}})")
_HASH = re.compile(r"[#＃]")
_SIGN = re.compile("[\u2190-\u2bff\U0001f000-\U0001fbff]")
_FIELD_TEXTS = {
    Field.TITLE: "title",
    Field.CAPTION: "caption",
    Field.OVERLAY: "overlay_text",
    Field.BODY: "body",
    Field.TRANSCRIPT: "transcript",
    Field.SPEECH: "speech",
    Field.LOCATION: "location",
}


class ItemReader:
    """Reads one item after another; one thread at a time. Making it takes about a second.

    Args:
        interests: of the graph; evidence names their rows.
        reliabilities: of every source, by name.
    """

    def __init__(
        self,
        interests: Sequence[Interest],
        reliabilities: Mapping[str, Reliability] = SOURCE_RELIABILITIES,
    ) -> None:
        self._matcher = InterestMatcher(interests)
        self._reliabilities = reliabilities

    def read(self, item: ContentItem, *, quoting: bool = False) -> RowEvidence:
        """What the texts say for each interest that they name, the weightiest source first.

        At most `MAX_ROWS` interests: those with the greatest probability, ties by row. Texts in
        another language than English say nothing.

        Args:
            item: its texts.
            quoting: fill in `Evidence.text`.

        Raises:
            UnknownSource: the item's source is not registered.
        """
        mentions = self._matcher.read(tamed(item)).mentions
        by_row: dict[int, list[Mention]] = defaultdict(list)
        for mention in mentions:
            by_row[mention.row].append(mention)
        quotes = _Quotes(item) if quoting else None
        confidence = item.speech_confidence
        found = {row: self._evidence(said, confidence, quotes) for row, said in by_row.items()}
        if len(found) <= MAX_ROWS:
            return found
        best = sorted(found, key=lambda row: (_doubt(found[row]), row))[:MAX_ROWS]
        return {row: found[row] for row in best}

    def _evidence(
        self, said: Sequence[Mention], speech_confidence: float, quotes: "_Quotes | None"
    ) -> tuple[Evidence, ...]:
        witnesses = Witnesses(self._reliabilities)
        firsts: dict[str, Mention] = {}
        counts: dict[str, int] = defaultdict(int)
        for mention in said:
            source = mention.field.value
            heard = mention.field is Field.SPEECH
            trust = max(speech_confidence, _LEAST_CONFIDENCE) if heard else 1.0
            witnesses.hear(source, mention.agreement * trust)
            firsts.setdefault(source, mention)
            counts[source] += 1
        evidence = [
            Evidence(
                source,
                float(np.float32(1 - doubt)),
                counts[source],
                quotes.of(firsts[source]) if quotes is not None else "",
            )
            for source, doubt in witnesses.doubts().items()
        ]
        return tuple(sorted(evidence, key=lambda one: (-one.weight, one.source)))


def tamed(item: ContentItem) -> ContentItem:
    """The item without what would take long to read and says little: most of many emoji, of many
    hashtags in running text, and hashtags that are no words.
    """
    budget = _Budget()
    changed: dict[str, str | tuple[str, ...]] = {
        name: budget.tame(getattr(item, name)) for name in _PROSE
    }
    changed["comments"] = tuple(budget.tame(comment) for comment in item.comments)
    changed["hashtags"] = tuple(
        hashtag for hashtag in item.hashtags if len(hashtag) <= _LONGEST_HASHTAG or " " in hashtag
    )
    if all(getattr(item, name) == value for name, value in changed.items()):
        return item
    return replace(item, **changed)  # type: ignore[arg-type]


class _Budget:
    """Hashtags and emoji that one item may still have."""

    def __init__(self) -> None:
        self._hashtags, self._emoji = _MOST_HASHTAGS, _MOST_EMOJI

    def tame(self, text: str) -> str:
        if "#" in text or "＃" in text:
            text = _HASH.sub(self._hashtag, _LONG_HASHTAG.sub(" ", text))
        return text if text.isascii() else _SIGN.sub(self._sign, text)

    def _hashtag(self, found: re.Match[str]) -> str:
        self._hashtags -= 1
        return found[0] if self._hashtags >= 0 else " "

    def _sign(self, found: re.Match[str]) -> str:
        self._emoji -= 1
        return found[0] if self._emoji >= 0 else " "


class _Quotes:
    """Quotes from one item; each text is indexed when it is first asked for."""

    def __init__(self, item: ContentItem) -> None:
        self._item = item
        self._quoters: dict[Field, Quoter] = {}

    def of(self, mention: Mention) -> str:
        quoter = self._quoters.get(mention.field)
        if quoter is None:
            quoter = self._quoters[mention.field] = self._open(mention.field)
        if mention.field is Field.HASHTAG:
            return quoter.quote_hashtag(mention.words)
        return quoter.quote(mention.words)

    def _open(self, field: Field) -> Quoter:
        item = self._item
        if field is Field.COMMENT:
            return Quoter(item.comments)
        if field is Field.HASHTAG:
            # Those at the end of a caption count as hashtags, too.
            return Quoter([getattr(item, name) for name in _PROSE], item.hashtags)
        return Quoter([getattr(item, _FIELD_TEXTS[field])])


def _doubt(evidence: Sequence[Evidence]) -> float:
    doubt = 1.0
    for one in evidence:
        doubt *= 1 - one.weight
    return doubt
