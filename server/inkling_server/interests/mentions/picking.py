"""What the keyphrase extractors think of the phrases of a document.

They read whole documents and weigh each against its neighbours: several times the work of finding
names, and they bring SciPy. It knows no interests.
"""

from collections.abc import Sequence

from inkling_server.interests.phrases.candidates import CandidateReader, Key
from inkling_server.interests.phrases.combine import Combination, all_extractors
from inkling_server.interests.phrases.pos import Tagger
from inkling_server.interests.phrases.tfidf import DocumentFrequencies
from inkling_server.interests.text.document import Document


class PhrasePicker:
    """Asks all extractors; remembers how often it has met each phrase. One thread at a time.

    Args:
        tagger: tells nouns from verbs.
    """

    def __init__(self, tagger: Tagger) -> None:
        self._reader = CandidateReader(tagger)
        self._frequencies = DocumentFrequencies()
        self._combination = Combination(all_extractors(self._frequencies))
        self.extractor_count = len(self._combination.extractor_names)

    def pick(self, results: Sequence[object]) -> list[dict[Key, list[str]]]:
        """For each document, the extractors that have a phrase among its best, by phrase.

        Args:
            results: documents; whatever else is among them gets an empty answer.
        """
        reads = [self._reader.read(r) if isinstance(r, Document) else None for r in results]
        for read in reads:
            if read is not None:
                self._frequencies.add(read)
        return [{} if r is None else self._combination.combine(r).found_by for r in reads]
