"""The vocabulary is counted from documents, merges spellings, and is the same for the same data."""

import gzip
import io
import json
import tarfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from inkling_server.interests.graph import Interest
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_training import vocabulary
from inkling_training import vocabulary_names as names
from inkling_training.vocabulary_corpus import Document, read_documents
from inkling_training.vocabulary_lexicon import Lexicon

_UNCLEAR = names.UnclearWords(in_text=frozenset({"saw"}), in_tags=frozenset({"love"}))


def _find(lexicon: Lexicon, *tags: str, text: str = "") -> set[str]:
    found = lexicon.find(Document("test", tags, (text,)), _UNCLEAR)
    return {lexicon.entries[row].phrase for row in found}


@pytest.fixture
def lexicon() -> Lexicon:
    certain = [("dog", ("doggo",)), ("hot dog", ()), ("glasses", ()), ("glass", ()), ("color", ())]
    everyday = [
        ("doggo", ()),
        ("colour", ()),
        ("dogs", ()),
        ("saw", ()),
        ("love", ()),
        ("heron", ()),
    ]
    more = [("bathtub", ()), ("person", ()), ("people", ())]
    return Lexicon([certain, everyday, more], {"color": "colour"})


def test_earlier_tiers_own_their_names(lexicon: Lexicon) -> None:
    phrases = [entry.phrase for entry in lexicon.entries]
    assert phrases == [
        *("dog", "hot dog", "glasses", "glass", "color"),
        *("saw", "love", "heron", "bathtub", "person", "people"),
    ]


def test_spellings_plurals_and_hashtags_are_found(lexicon: Lexicon) -> None:
    assert _find(lexicon, "Dogs", "hotdog", "colours") == {"dog", "hot dog", "color"}
    assert _find(lexicon, text="Two doggos in a bath tub") == {"dog", "bathtub"}


def test_longest_name_in_a_text_wins(lexicon: Lexicon) -> None:
    assert _find(lexicon, text="Hot dogs, not hot, dog!") == {"hot dog"}


def test_accidental_joins_are_not_names(lexicon: Lexicon) -> None:
    assert _find(lexicon, text="her on the left") == set()


def test_unclear_words_count_only_where_they_are_meant(lexicon: Lexicon) -> None:
    assert _find(lexicon, "saw", "love") == {"saw"}
    assert _find(lexicon, text="I saw what I love") == {"love"}


def test_own_meanings_are_not_merged(lexicon: Lexicon) -> None:
    assert _find(lexicon, "glasses", "people") == {"glasses", "people"}
    assert _find(lexicon, "glass", "person") == {"glass", "person"}


def _build(documents: list[Document]) -> dict[str, Interest]:
    tiers = vocabulary.collect_candidates(documents, None, names.Blocklist.default())
    interests = vocabulary.count_interests(documents, Lexicon(tiers), _UNCLEAR)
    return {interest.phrase: interest for interest in interests}


def test_counts_are_documents_and_include_what_follows_by_meaning() -> None:
    interests = _build(
        [
            Document("a", ("puppy", "puppies"), ("A puppy!",)),
            Document("b", ("dog",)),
            Document("c", (), ("nothing that anybody knows",)),
        ]
    )
    assert interests["puppy"].count == 1
    assert interests["dog"].count == 2
    assert interests["animal"].count == 2
    assert interests["cat"].count == 0


def test_aliases_are_editorial_or_seen_more_than_once() -> None:
    interests = _build(
        [Document("a", ("puppies",)), Document("b", ("puppies",)), Document("c", ("cats",))]
    )
    assert interests["puppy"].aliases == ("puppies",)
    assert interests["cat"].aliases == ()
    assert "mountain lion" in interests["cougar"].aliases


def test_everyday_candidates_must_be_seen_and_ontology_phrases_need_not() -> None:
    interests = _build([Document("a", ("sandcastle",))])
    assert "sandcastle" in interests
    assert "snowball fight" not in interests
    assert "thatched roof" in interests


def _write_data(folder: Path) -> None:
    """A sample data folder in small."""
    (folder / "images").mkdir(parents=True)
    (folder / "corpora").mkdir()
    (folder / "engagement").mkdir()
    records: list[dict[str, Any]] = [
        {"source": "tiny-imagenet-200", "tags": ["cougar", "puma", "painter"], "split": "train"},
        {
            "source": "coco-mini",
            "tags": ["dog"],
            "captions": ["A dog on a beach."],
            "split": "train",
        },
        {"source": "coco-mini", "tags": ["tractor"], "caption": "A tractor", "split": "val"},
    ]
    with tarfile.open(folder / "images" / "mixed-000.tar", "w") as shard:
        for number, record in enumerate(records):
            data = json.dumps({"class": None, **record}).encode()
            for name, content in ((f"{number}.webp", b"RIFF"), (f"{number}.json", data)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    posts = [{"source": "tweets", "text": "@dog http://x.org/cat so #cute", "hashtags": ["Sunset"]}]
    titles = [{"title": "My r/dogs puppy", "created_utc": 1_300_000_000}]
    photos = [{"tags": ["elbe", name], "published": "2018-05-01"} for name in "abcdefghijkl"]
    for path, rows in (
        ("corpora/hashtags", posts),
        ("corpora/reddit", titles),
        ("engagement/flickr_dresden", photos),
    ):
        with gzip.open(folder / f"{path}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    recipe = {"tags": ["soup"], "title": "Bean soup", "date": "not a date"}
    (folder / "corpora" / "recipes.jsonl").write_text(json.dumps(recipe) + "\n", encoding="utf-8")


def test_documents_hold_what_people_said_and_leave_the_validation_split_out(tmp_path: Path) -> None:
    _write_data(tmp_path)
    documents = list(read_documents(tmp_path))
    assert documents[:2] == [
        Document("tiny-imagenet-200", ("cougar",)),
        Document("coco-mini", ("dog",), ("A dog on a beach.",)),
    ]
    post, title, recipe, *photos = documents[2:]
    assert post.names == ("Sunset",)
    assert names.words(post.texts[0]) == ["so"]
    assert names.words(title.texts[0]) == ["my", "puppy"]
    assert title.published == date(2011, 3, 13)
    assert recipe == Document("recipes", ("soup",), ("Bean soup",))
    assert [photo.names for photo in photos] == [(name,) for name in "abcdefghijkl"]


def test_same_data_gives_the_same_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoWordNet:
        def __init__(self, folder: Path) -> None:
            assert folder == tmp_path

        def compounds(self) -> list[str]:
            return []

        def singular(self, words: str) -> None:
            return None

    monkeypatch.setattr(vocabulary, "WordNet", NoWordNet)
    _write_data(tmp_path / "data")
    snapshots = []
    for out in ("first", "second"):
        options = ["--data", tmp_path / "data", "--out", tmp_path / out, "--wordnet", tmp_path]
        monkeypatch.setattr("sys.argv", ["vocabulary", *map(str, options)])
        vocabulary.main()
        snapshots.append(load_snapshot(newest_snapshot(tmp_path / out)))
    assert snapshots[0] == snapshots[1]
    assert snapshots[0].version.startswith("2018-05-01-")
    assert {"dog", "sunset", "soup"} <= {interest.phrase for interest in snapshots[0].interests}
