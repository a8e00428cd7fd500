"""Finds the interests that an item's texts name, each with how far its place agrees.

    item ─► server's reading (source, language, sentences, tokens)
              └─► PhraseTable: longest names ─► parts of speech ─► agreement ─► Mention
              └─► PhrasePicker, where asked for ─────────────────────┘

Sentences in which no interest is named are never tagged. A text in a language that is not wanted
gives no mention, but what it seems to name is said apart. It knows no weights and no pictures.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from inkling_server.interests.content import ContentItem
from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.agreement import NameKind, agreement, is_shouted
from inkling_server.interests.mentions.table import PhraseTable, Span, words_of
from inkling_server.interests.phrases.pos import LexiconTagger, Tagger
from inkling_server.interests.text.document import Document, Field, Sentence
from inkling_server.interests.text.preprocess import TextSettings, preprocess

if TYPE_CHECKING:
    from inkling_server.interests.mentions.picking import PhrasePicker

FoundBy = Mapping[tuple[str, ...], Sequence[str]]
# Extractors weigh a document against its neighbours, as the server's corpus does.
_CHUNK = 2_000
# Agreement of a phrase that no extractor has among its best; five extractors make it 1.
_UNPICKED = 0.8


@dataclass(frozen=True, slots=True)
class Mention:
    """An interest named in one sentence.

    Attributes:
        row: the interest's.
        field: the part of the item.
        agreement: in (0, 1], see `agreement` and `_UNPICKED`.
        extractors: those that have the phrase among the document's best; () where none was asked.
        words: the tokens that name it, as the source's cleaning left them.
    """

    row: int
    field: Field
    agreement: float
    extractors: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, slots=True)
class ItemMentions:
    """What an item's texts name.

    Attributes:
        mentions: in the order of the text.
        named: rows named anywhere, also where no mention counts (another language): whoever looks
            for what an item is not about must spare them.
        language: the unwanted language that the texts are in, or None.
    """

    mentions: tuple[Mention, ...] = ()
    named: frozenset[int] = frozenset()
    language: str | None = None


class InterestMatcher:
    """Reads items; one thread at a time.

    Args:
        interests: the graph's.
        table: finds their names; None: one is made.
        settings: how texts are read.
        use_extractors: ask the keyphrase extractors, too: several times the work.
        tagger: tells nouns from verbs. The default is the server's own, whatever NLTK data is
            installed, so that pairs are the same everywhere.
    """

    def __init__(
        self,
        interests: Sequence[Interest],
        *,
        table: PhraseTable | None = None,
        settings: TextSettings | None = None,
        use_extractors: bool = False,
        tagger: Tagger | None = None,
    ) -> None:
        self.table = table or PhraseTable(interests)
        self._kinds = [NameKind.of(interest.phrase) for interest in interests]
        self._settings = settings or TextSettings()
        self._tagger = tagger or LexiconTagger()
        self._picker = _open_picker(self._tagger) if use_extractors else None

    def read(self, item: ContentItem) -> ItemMentions:
        """Reads one item by itself."""
        return next(self.read_all([item]))

    def read_all(self, items: Iterable[ContentItem]) -> Iterator[ItemMentions]:
        """Reads items in order; with extractors, each chunk is counted before it is ranked."""
        remaining = iter(items)
        while chunk := list(islice(remaining, _CHUNK)):
            results = [preprocess(item, self._settings) for item in chunk]
            found_by = self._picker.pick(results) if self._picker else [{}] * len(chunk)
            for item, result, found in zip(chunk, results, found_by, strict=True):
                if isinstance(result, Document):
                    yield self._mentions(result, found)
                else:
                    named = self._names_within(item) if result.language else frozenset[int]()
                    yield ItemMentions(named=named, language=result.language)

    def _mentions(self, document: Document, found_by: FoundBy) -> ItemMentions:
        mentions = [
            mention
            for sentence in document.sentences
            for mention in self._of_sentence(sentence, found_by)
        ]
        return ItemMentions(tuple(mentions), frozenset(mention.row for mention in mentions))

    def _of_sentence(self, sentence: Sentence, found_by: FoundBy) -> Iterator[Mention]:
        spans = list(self._spans(sentence))
        if not spans:
            return
        tags = self._tagger.tag(sentence.tokens)
        shouted = is_shouted(sentence.tokens)
        for start, end, row in spans:
            kind = self._kinds[row]
            factor = agreement(sentence, tags, start, end, kind, shouted=shouted)
            extractors: tuple[str, ...] = ()
            if self._picker is not None:
                key = tuple(token.normal for token in sentence.tokens[start:end])
                extractors = tuple(found_by.get(key, ()))
                share = len(extractors) / self._picker.extractor_count
                factor *= _UNPICKED + (1 - _UNPICKED) * share
            words = " ".join([token.text for token in sentence.tokens[start:end]])
            yield Mention(row, sentence.field, factor, extractors, words)

    def _spans(self, sentence: Sentence) -> Iterator[Span]:
        """Names in the sentence, by tokens; none goes over punctuation."""
        words: list[str] = []
        places: list[int] = []
        for place, token in enumerate(sentence.tokens):
            found = words_of(token.text)
            if found:
                words += found
                places += [place] * len(found)
            elif words:
                yield from self._placed(words, places)
                words, places = [], []
        yield from self._placed(words, places)

    def _placed(self, words: list[str], places: list[int]) -> Iterator[Span]:
        for start, end, row in self.table.match(words):
            yield Span(places[start], places[end - 1] + 1, row)

    def _names_within(self, item: ContentItem) -> frozenset[int]:
        texts = (
            item.title,
            item.caption,
            item.overlay_text,
            item.body,
            item.transcript,
            item.speech,
            *item.comments,
            *item.hashtags,
        )
        return frozenset(row for text in texts for row in self.table.find_within(text))


def _open_picker(tagger: Tagger) -> "PhrasePicker":
    # Here, so that whoever only looks for names does without SciPy.
    from inkling_server.interests.mentions.picking import PhrasePicker

    return PhrasePicker(tagger)
