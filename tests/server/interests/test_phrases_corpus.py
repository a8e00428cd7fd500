"""The corpus's ranking and its provenance."""

from datetime import UTC, datetime

from inkling_server.interests.phrases.candidates import CandidateReader
from inkling_server.interests.phrases.combine import Combination, all_extractors
from inkling_server.interests.phrases.corpus import CorpusRanking
from inkling_server.interests.phrases.pos import LexiconTagger
from inkling_server.interests.phrases.tfidf import DocumentFrequencies
from inkling_server.interests.text.document import Document
from tests.server.interests.phrase_kit import document

POSTS = [
    document("A rain forest walk with the tree frogs", "a", "2026-03-02"),
    document("Tree frog in the garden", "b", "2026-01-05"),
    document("Tree frogs and one mountain goat", "c"),
]


def corpus(documents: list[Document], max_document_ids: int = 8) -> CorpusRanking:
    counts = DocumentFrequencies()
    combination = Combination(all_extractors(counts))
    reader = CandidateReader(LexiconTagger())
    ranking = CorpusRanking(reader, combination, counts, max_document_ids=max_document_ids)
    assert len(list(ranking.add(documents))) == len(documents)
    return ranking


def test_phrase_of_most_documents_leads_with_its_provenance() -> None:
    best = corpus(POSTS).ranking()[0]
    assert best.text == "tree frogs" or best.text == "Tree frog"
    assert (best.count, best.document_count, best.whole_count) == (3, 3, 3)
    assert best.document_ids == ["a", "b", "c"]
    assert best.first_seen == datetime(2026, 1, 5, tzinfo=UTC)
    assert best.last_seen == datetime(2026, 3, 2, tzinfo=UTC)
    assert best.extractors["rake"] == 3
    assert sum(best.days.values()) == best.document_count


def test_record_names_only_the_first_documents() -> None:
    assert corpus(POSTS, max_document_ids=2).ranking()[0].document_ids == ["a", "b"]


def test_rare_phrases_can_be_left_out() -> None:
    assert [record.key for record in corpus(POSTS).ranking(min_documents=2)] == [("tree", "frog")]


def test_undated_phrase_has_no_times() -> None:
    record = corpus(POSTS).records["mountain", "goat"]
    assert record.first_seen is None
    assert record.last_seen is None


def test_later_documents_grow_the_same_records() -> None:
    ranking = corpus(POSTS[:1])
    list(ranking.add(POSTS[1:]))
    assert ranking.records["tree", "frog"].document_count == 3


def test_names_are_told_from_things() -> None:
    records = corpus([document("we walk Monica Geller to a frog", "a")]).records
    assert records["monica", "geller"].is_name
    assert not records["frog",].is_name


def test_empty_corpus_has_no_ranking() -> None:
    assert corpus([]).ranking() == []
