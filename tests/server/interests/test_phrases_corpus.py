"""The corpus's ranking and its provenance."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.interests.phrases import corpus as module
from inkling_server.interests.phrases.candidates import CandidateReader
from inkling_server.interests.phrases.combine import Combination, all_extractors
from inkling_server.interests.phrases.corpus import RECENT_DAYS, CorpusRanking, day_of
from inkling_server.interests.phrases.pos import LexiconTagger
from inkling_server.interests.phrases.tfidf import DocumentFrequencies
from inkling_server.interests.text.document import Document
from tests.server.interests.phrase_kit import document

POSTS = [
    document("A rain forest walk with the tree frogs", "a", "2026-03-02"),
    document("Tree frog in the garden", "b", "2026-01-05"),
    document("Tree frogs and one mountain goat", "c"),
]


NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TODAY = day_of(NOW)
FROG = ("tree", "frog")


def corpus(
    documents: list[Document], max_document_ids: int = 8, max_records: int = 1_000
) -> CorpusRanking:
    counts = DocumentFrequencies()
    ranking = CorpusRanking(
        CandidateReader(LexiconTagger()),
        Combination(all_extractors(counts)),
        counts,
        read_day=TODAY,
        max_document_ids=max_document_ids,
        max_records=max_records,
    )
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


def frogs(days: list[int]) -> list[Document]:
    """One document that names frogs on each day; numbers are days before today."""
    times = [NOW - timedelta(days=day) for day in days]
    return [document("a tree frog", str(i), f"{time:%Y-%m-%d}") for i, time in enumerate(times)]


@pytest.mark.parametrize(
    ("time", "day"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), -1),
        (datetime(2026, 6, 1, 23, 59, 59, tzinfo=UTC), 20_605),
        (datetime.fromisoformat("2026-06-01T22:00:00-05:00"), 20_606),
    ],
)
def test_day_is_counted_in_utc(time: datetime, day: int) -> None:
    assert day_of(time) == day


def test_days_say_when_documents_were_made_or_read() -> None:
    record = corpus(POSTS).records[FROG]
    first, last = (
        day_of(datetime.fromisoformat(f"{d}T00:00+00:00")) for d in ("2026-01-05", "2026-03-02")
    )
    assert record.last_day == TODAY  # one does not say when it was made
    assert record.days[TODAY] == 1
    # Older than what a record remembers by day: the trend has no use for it.
    assert set(record.days) <= {TODAY, first, last}


def test_documents_of_tomorrow_count_today() -> None:
    record = corpus(frogs([-1, -400, 1])).records[FROG]
    assert record.days == {TODAY: 2, TODAY - 1: 1}
    assert record.last_day == TODAY


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3 * RECENT_DAYS), min_size=1, max_size=60))
def test_recent_days_are_counted_in_full_whatever_the_order(days: list[int]) -> None:
    record = corpus(frogs(days)).records[FROG]
    newest = TODAY - min(days)
    assert record.last_day == newest
    assert record.document_count == len(days)
    counted = {
        newest - offset: days.count(min(days) + offset)
        for offset in range(RECENT_DAYS)
        if min(days) + offset in days
    }
    kept = {day: count for day, count in record.days.items() if day > newest - RECENT_DAYS}
    assert kept == counted


def test_days_of_a_record_are_bounded() -> None:
    record = corpus(frogs(list(range(400, -1, -1)))).records[FROG]
    assert len(record.days) <= RECENT_DAYS
    assert min(record.days) > TODAY - RECENT_DAYS


def test_rare_and_old_phrases_are_forgotten_first() -> None:
    often = frogs([60] * 5)  # before all others
    rare = [
        document(f"a {name} lamp", name, f"2026-05-{day:02}")
        for day, name in enumerate(("brass", "copper", "silver", "golden", "marble", "wooden"), 1)
    ]
    ranking = corpus([*often, *rare], max_records=4)
    assert len(ranking.records) == 3
    assert FROG in ranking.records
    dated = [record.last_day for record in ranking.records.values() if record.key != FROG]
    assert dated == sorted(dated)
    assert min(dated) == day_of(datetime(2026, 5, 5, tzinfo=UTC))


def test_frequent_phrases_survive_any_stream_of_rare_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 10)
    rare = [document(f"a gadget{i} lamp", f"r{i}") for i in range(200)]
    stream = [d for i in range(40) for d in (*frogs([i]), *rare[5 * i : 5 * i + 5])]
    ranking = corpus(stream, max_records=20)
    assert len(ranking.records) <= 20
    assert ranking.records[FROG].document_count == 40


def test_frequencies_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 10)
    counts = DocumentFrequencies()
    ranking = CorpusRanking(
        CandidateReader(LexiconTagger()),
        Combination(all_extractors(counts)),
        counts,
        read_day=TODAY,
        max_records=5,
    )
    stream = [document(f"a gadget{i} lamp and a tree frog", str(i)) for i in range(100)]
    list(ranking.add(stream))
    assert len(counts) <= 20
    assert counts[FROG] == counts.document_count == 100


def test_records_of_an_earlier_run_go_on_growing() -> None:
    first = corpus(POSTS[:2])
    counts = DocumentFrequencies()
    again = CorpusRanking(
        CandidateReader(LexiconTagger()),
        Combination(all_extractors(counts)),
        counts,
        records=first.records,
        read_day=TODAY,
    )
    list(again.add(POSTS[2:]))
    assert again.records is first.records
    assert first.records[FROG].document_count == 3
