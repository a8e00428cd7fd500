"""A corpus's state survives the disk, stays bounded, and names nobody."""

import json
import string
from array import array
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from inkling_server.interests import corpus_state as module
from inkling_server.interests import corpus_state_files
from inkling_server.interests.activity import Activity, ActivitySettings
from inkling_server.interests.corpus_state import (
    CorpusState,
    StoredKeys,
    TopicState,
    key_of,
    phrase_hash,
)
from inkling_server.interests.corpus_state_files import (
    STATE_FOLDER,
    load_state,
    load_stored_keys,
    save_state,
)
from inkling_server.interests.feed import FileMark
from inkling_server.interests.graph import Interest
from inkling_server.interests.phrases.corpus import PhraseRecord, day_of
from inkling_server.interests.topics.model import Topics
from tests.server.interests import corpus_kit as kit
from tests.server.interests.graph_kit import CREATED, snapshot_of

FILES = (
    "phrases.parquet",
    "frequencies.parquet",
    "sample.parquet",
    "arrays.safetensors",
    "state.json",
)


def full_state() -> CorpusState:
    """A state with something in each of its parts."""
    seen = datetime(2026, 3, 2, 7, 30, 0, 123_456, tzinfo=UTC)
    state = CorpusState(
        document_count=7,
        signatures_MH=np.arange(3 * 64, dtype=np.uint32).reshape(3, 64),
        sample=[["sea", "café"], [], ["tree frog's"]],
        sample_items=[2**64 - 1, 0, 5],
        sampled_from=9,
        watermark={"2026/a.jsonl": FileMark(12, "ab"), "ü.jsonl.gz": FileMark(3, "")},
    )
    state.records["tree", "frog"] = PhraseRecord(
        ("tree", "frog"),
        score=1.25,
        count=9,
        document_count=7,
        whole_count=8,
        name_count=1,
        extractors=Counter({"rake": 2, "tfidf": 7}),
        forms=Counter({"tree frogs": 6, "Tree frog": 3}),
        first_seen=seen,
        last_seen=None,
        days={20_000: 3, -5: 1},
        last_day=20_000,
    )
    state.records["plain",] = PhraseRecord(("plain",))
    state.frequencies.document_count = 8
    state.frequencies.set(("tree", "frog"), 7)
    state.frequencies.set(("ünï",), 1)
    state.phrases_by_day, state.documents_by_day = {20_000: 5, -5: 1}, {20_000: 3, -5: 2}
    state.items = {2**64 - 1: np.array([1, 2**63], np.uint64).tobytes(), 0: b""}
    state.people = {2**64 - 1: array("Q", [2**64 - 1, 0]), 5: array("Q")}
    state.stored = StoredKeys({2**64 - 1: 2**63 - 1, 5: 1}, {0: 7})
    state.topics = TopicState(
        "nmf",
        Topics(("sea", "frog"), np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([[0.25, 0.75]])),
        6,
    )
    return state


def assert_same(one: CorpusState, other: CorpusState) -> None:
    """Equal in everything, orders included: what is oldest is forgotten first."""
    assert list(one.records.items()) == list(other.records.items())
    assert one.frequencies.document_count == other.frequencies.document_count
    assert dict(one.frequencies.items()) == dict(other.frequencies.items())
    assert np.array_equal(one.signatures_MH, other.signatures_MH)
    assert one.signatures_MH.dtype == other.signatures_MH.dtype
    assert (one.topics is None) == (other.topics is None)
    if one.topics is not None and other.topics is not None:
        assert one.topics.model == other.topics.model
        assert one.topics.document_count == other.topics.document_count
        mine, theirs = one.topics.topics, other.topics.topics
        assert mine.words == theirs.words
        assert mine.words_TV == pytest.approx(theirs.words_TV, abs=1e-6)
        assert mine.documents_DT.mean(0) == pytest.approx(theirs.documents_DT.mean(0), abs=1e-6)
    assert list(one.items.items()) == list(other.items.items())
    assert list(one.people.items()) == list(other.people.items())
    for name in (
        "document_count",
        "phrases_by_day",
        "documents_by_day",
        "sample",
        "sample_items",
        "sampled_from",
        "watermark",
        "stored",
        "salt",
    ):
        assert getattr(one, name) == getattr(other, name), name


def text_of(folder: Path) -> str:
    """All that the files of a state say, unpacked."""
    parts = []
    for path in sorted((folder / STATE_FOLDER).iterdir()):
        parts.append(path.read_bytes().decode("latin-1"))
        if path.suffix == ".parquet":
            parts.append(str(pq.read_table(path).to_pylist()))
        elif path.suffix == ".safetensors":
            parts += [array.tobytes().decode("latin-1") for array in load_file(path).values()]
    return "\n".join(parts)


@pytest.mark.parametrize("state", [CorpusState(), full_state()], ids=["empty", "full"])
def test_saved_state_loads_as_it_was(tmp_path: Path, state: CorpusState) -> None:
    assert_same(kit.reloaded(state, tmp_path / "a"), state)
    assert sorted(path.name for path in (tmp_path / "a" / STATE_FOLDER).iterdir()) == sorted(FILES)


def test_saving_again_changes_nothing(tmp_path: Path) -> None:
    once = kit.reloaded(full_state(), tmp_path / "a")
    assert_same(kit.reloaded(once, tmp_path / "b"), once)
    for name in FILES:
        one, two = (tmp_path / folder / STATE_FOLDER / name for folder in "ab")
        if name != "arrays.safetensors" and name != "state.json":
            assert one.read_bytes() == two.read_bytes(), name


def test_loaded_state_can_grow(tmp_path: Path) -> None:
    state = kit.reloaded(full_state(), tmp_path / "a")
    state.note_document(20_001, 2)
    state.note_item(77, np.array([4], np.uint64))
    assert state.note_engagement(5, 77)
    assert state.people[5].tolist() == [4]
    state.records["tree", "frog"].forms["TREE FROG"] += 1


# What `tokens` makes of words: no white space, no sign of its own; quotes and joints inside.
_WORD = st.text(
    st.characters(categories=("L", "N", "M", "Pc", "Pd", "Sk"))
    | st.sampled_from("'’&.,\x00\x1f\"\\|"),
    min_size=1,
    max_size=6,
).filter(lambda word: " " not in word)
_FORM = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_TIME = st.none() | st.datetimes(timezones=st.just(UTC))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_words_survive_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    keys = data.draw(st.lists(st.lists(_WORD, min_size=1, max_size=4).map(tuple), unique=True))
    counts = st.dictionaries(_FORM, st.integers(0, 2**40), max_size=3).map(Counter)
    state = CorpusState(sample=data.draw(st.lists(st.lists(_FORM, max_size=3), max_size=3)))
    for key in keys:
        state.records[key] = PhraseRecord(
            key,
            forms=data.draw(counts),
            extractors=data.draw(counts),
            first_seen=data.draw(_TIME),
            last_seen=data.draw(_TIME),
            days=data.draw(st.dictionaries(st.integers(-(2**31), 2**31 - 1), st.integers(1, 9))),
        )
        state.frequencies.set(key, 3)
    state.watermark = {data.draw(st.text(max_size=5)): FileMark(1, "x")}
    assert_same(kit.reloaded(state, tmp_path_factory.mktemp("state") / "a"), state)


@pytest.mark.parametrize("name", FILES)
def test_missing_or_damaged_file_is_one_of_the_errors_that_are_told(
    tmp_path: Path, name: str
) -> None:
    save_state(full_state(), tmp_path)
    path = tmp_path / STATE_FOLDER / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises((OSError, ValueError, KeyError, pa.ArrowException)):
        load_state(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path)


def test_rows_may_be_read_in_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_state_files, "_BATCH", 3)
    state = CorpusState(sample=[["word"] * (i % 4) for i in range(11)])
    for i in range(11):
        key = (f"word{i}",)
        state.frequencies.set(key, i)
        state.records[key] = PhraseRecord(
            key,
            forms=Counter({f"form {j} of {i}": j for j in range(i % 4)}),
            days=dict.fromkeys(range(i % 3), i),
            last_seen=None if i % 2 else datetime(1969, 7, 20, 20, i, tzinfo=UTC),
            last_day=i,
        )
    assert_same(kit.reloaded(state, tmp_path / "a"), state)


def test_state_of_another_format_is_refused(tmp_path: Path) -> None:
    save_state(full_state(), tmp_path)
    path = tmp_path / STATE_FOLDER / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        load_state(tmp_path)


def test_state_of_the_first_format_is_read_and_knows_no_database(tmp_path: Path) -> None:
    state = full_state()
    save_state(state, tmp_path)
    folder = tmp_path / STATE_FOLDER
    arrays = load_file(folder / "arrays.safetensors")
    for name in ("stored_people", "stored_items", "sample_items"):
        del arrays[name]
    save_file(arrays, folder / "arrays.safetensors")
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))
    state.stored, state.sample_items = StoredKeys(), [0] * len(state.sample)
    assert load_stored_keys(tmp_path) == (StoredKeys(), state.salt)
    assert_same(load_state(tmp_path), state)


def test_keys_are_kept_of_what_is_remembered_only() -> None:
    state = CorpusState()
    state.note_item(1, np.array([7], np.uint64))
    state.note_engagement(5, 1)
    state.pending = [(6, 2)]
    state.sample, state.sample_items = [["sea"]], [3]
    state.stored = StoredKeys({5: 50, 9: 90}, {1: 10, 8: 80})
    state.note_stored([(6, 60), (5, 51), (7, 70)], [(2, 20), (3, 30), (4, 40)])
    assert state.stored == StoredKeys({5: 51, 6: 60}, {1: 10, 2: 20, 3: 30})
    gone = StoredKeys({6: 60}, {3: 30})
    before = state.stored.digest()
    state.forget(gone)
    assert state.stored == StoredKeys({5: 51}, {1: 10, 2: 20})
    assert state.stored.digest() != before
    assert (state.pending, state.sample, state.sample_items) == ([], [], [])
    state.forget(StoredKeys({5: 51}, {1: 10, 2: 20}))
    assert (state.items, state.people, state.stored) == ({}, {}, StoredKeys())


def test_no_file_says_who_or_which_post(tmp_path: Path) -> None:
    lines = [
        kit.item(f"POST-{i}-secret", kit.caption(i), author=f"AUTHOR-{i}-secret") for i in range(30)
    ]
    lines += [kit.engagement(f"USER-{i}-secret", f"POST-{i}-secret") for i in range(30)]
    kit.append(tmp_path / "feed", lines)
    state = CorpusState()
    kit.mine_folder(tmp_path / "feed", state)
    assert len(state.people) == 60
    save_state(state, tmp_path)
    said = text_of(tmp_path)
    assert "mountain bike" in said
    assert "secret" not in said.lower()
    assert "POST-" not in said


def test_hashes_of_people_depend_on_the_state_that_holds_them() -> None:
    one, other = CorpusState(), CorpusState()
    assert one.person_hash("alice") == one.person_hash("alice")
    assert one.person_hash("alice") != other.person_hash("alice")
    assert one.person_hash("alice") != one.item_hash("alice")


def test_phrase_hash_is_the_same_in_every_process() -> None:
    assert phrase_hash(("tree", "frog")) == phrase_hash(key_of("Tree frogs"))
    assert phrase_hash(("tree", "frog")) == 12708290585903151111


def test_items_and_people_are_bounded_and_the_oldest_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_ITEMS", 3)
    monkeypatch.setattr(module, "MAX_PEOPLE", 2)
    monkeypatch.setattr(module, "MAX_INTERESTS_OF_PERSON", 4)
    state = CorpusState()
    for i in range(5):
        state.note_item(i, np.array([10 * i, 10 * i + 1], np.uint64))
    assert list(state.items) == [2, 3, 4]
    assert not state.note_engagement(1, 0)
    assert state.people == {}
    for item in (2, 3, 4):
        assert state.note_engagement(1, item)
    assert sorted(state.people[1]) == [30, 31, 40, 41]
    state.note_engagement(2, 2)
    state.note_engagement(1, 3)
    state.note_engagement(3, 2)
    assert list(state.people) == [1, 3]


def test_same_phrase_is_remembered_once_of_a_person() -> None:
    state = CorpusState()
    state.note_item(1, np.array([7, 7, 8], np.uint64))
    state.note_item(2, np.array([8, 9], np.uint64))
    for item in (1, 2, 1):
        state.note_engagement(5, item)
    assert sorted(state.people[5]) == [7, 8, 9]


def test_old_days_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DAYS", 3)
    state = CorpusState()
    for day in (5, 1, 9, 7, 3):
        state.note_document(day, 2)
    state.forget_old_days()
    assert state.documents_by_day == {5: 1, 9: 1, 7: 1}
    assert state.phrases_by_day == {5: 2, 9: 2, 7: 2}
    assert state.document_count == 5


@pytest.mark.parametrize(
    ("phrase", "key"),
    [
        ("Colours", ("color",)),
        ("hot air balloons", ("hot", "air", "balloon")),
        ("rock & roll", ("rock", "roll")),
        ("!?", ()),
    ],
)
def test_key_is_what_documents_give_the_phrase(phrase: str, key: tuple[str, ...]) -> None:
    assert key_of(phrase) == key


@given(st.text(string.printable, max_size=30))
def test_key_of_any_phrase_survives_being_joined(phrase: str) -> None:
    key = key_of(phrase)
    assert not key or tuple(" ".join(key).split(" ")) == key


def test_graph_without_a_corpus_begins_with_its_interests() -> None:
    seen = datetime(2025, 1, 2, tzinfo=UTC)
    graph = snapshot_of(
        [
            Interest("dog", "dogs", ("doggo",), 40, first_seen=seen, last_seen=seen),
            Interest("hot-air-balloon", "hot air balloon", (), 3, extractors=("rake", "tfidf")),
            Interest("cat", "cat", (), 0, pinned=True),
            Interest("-", "!?", (), 5),
        ]
    )
    state = CorpusState.of_graph(graph)
    assert list(state.records) == [("dog",), ("hot", "air", "balloon")]
    dog = state.records["dog",]
    assert (dog.count, dog.document_count, dog.whole_count, dog.text) == (40, 40, 40, "dogs")
    assert (dog.first_seen, dog.last_seen) == (seen, seen)
    assert state.records["hot", "air", "balloon"].extractors == {"rake": 1, "tfidf": 1}
    assert state.frequencies["dog",] == 40
    assert state.document_count == state.frequencies.document_count == graph.document_count
    assert (state.watermark, state.items, state.people) == ({}, {}, {})


def test_older_content_does_not_age_a_graph_without_a_corpus() -> None:
    state = CorpusState.of_graph(snapshot_of([Interest("dog", "dog", (), 40)]))
    created = day_of(CREATED)
    for day in range(created - 400, created + 1):
        state.note_document(day, 1)
    activity = Activity(state, ActivitySettings(retire_after_days=180))
    dog = state.records["dog",]
    assert (activity.unseen_days(dog), activity.is_retired(dog)) == (0, False)
    state.note_document(created + 1, 1)
    assert Activity(state, ActivitySettings()).unseen_days(dog) == 1
