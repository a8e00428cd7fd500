"""Choosing interests: what is let in, what it is called, and that it keeps its identity."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from inkling_server.interests.graph import Interest
from inkling_server.interests.naming import name_key
from inkling_server.interests.phrases.candidates import Key
from inkling_server.interests.phrases.corpus import PhraseRecord
from inkling_server.interests.selection import Chosen, SelectionSettings, choose_interests
from inkling_server.interests.text.tokens import tokens

Records = dict[Key, PhraseRecord]


def record(
    *forms: str,
    documents: int = 10,
    counts: tuple[int, ...] | None = None,
    names: int = 0,
    whole: int | None = None,
) -> PhraseRecord:
    """A phrase written in these forms, the first most often unless `counts` says otherwise."""
    seen = Counter(dict(zip(forms, counts or range(documents + 9, documents, -1), strict=False)))
    key = tuple(token.normal for token in tokens(forms[0]))
    total = seen.total()
    return PhraseRecord(
        key,
        score=documents / 2,
        count=total,
        document_count=documents,
        whole_count=total if whole is None else whole,
        name_count=names,
        extractors=Counter({"tfidf": documents}),
        forms=seen,
    )


def corpus(*records: PhraseRecord) -> Records:
    return {record.key: record for record in records}


def chosen_phrases(*records: PhraseRecord, settings: SelectionSettings | None = None) -> set[str]:
    return {chosen.phrase for chosen in choose_interests(corpus(*records), (), settings)}


def only(found: list[Chosen]) -> Chosen:
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    "phrase",
    ["guitar", "lighthouse", "photography", "ice cream", "yoga studio", "sourdough starter"],
)
def test_things_that_people_like_are_let_in(phrase: str) -> None:
    assert chosen_phrases(record(phrase)) == {phrase}


@pytest.mark.parametrize(
    "phrase",
    [
        "thing",
        "favorite place",
        "last night",
        "discover",
        "excited",
        "obviously",
        "accuracy",
        "upvotes",
        "reddit",
        "first post",
        "funny tweet",
        "12th",
        "800x600",
        "x",
        "xq7_user",
        "dog.lovers",
        "kirche",
        "aber",
        "lol",
        "teaspoon",
        "wednesday",
        "Sarah",
        "Johnson",
        "coach Andy Robinson",
        "asshole",
    ],
)
def test_vague_broken_and_private_words_stay_out(phrase: str) -> None:
    assert chosen_phrases(record(phrase, names=11 if phrase != phrase.lower() else 0)) == set()


def test_what_few_documents_name_stays_out() -> None:
    assert chosen_phrases(record("guitar", documents=4), record("piano", documents=5)) == {"piano"}


def test_blocked_words_stay_out_alone_in_phrases_and_run_together() -> None:
    settings = SelectionSettings(blocked=frozenset({"gun", "water bomb"}))
    shop, shot, bomb = record("gun shop"), record("gunshop"), record("water bomb")
    assert chosen_phrases(record("gun"), shop, shot, bomb, record("water"), settings=settings) <= {
        "water"
    }


def test_part_of_one_longer_phrase_stays_out() -> None:
    rest = record("Pollock", documents=10, names=11)
    whole = record("Jackson Pollock", documents=40, names=41)
    assert chosen_phrases(rest, whole) == {"Jackson Pollock"}
    assert chosen_phrases(replace_documents(rest, 400), whole) == {"Pollock", "Jackson Pollock"}


def test_mostly_within_longer_phrases_stays_out() -> None:
    assert chosen_phrases(record("guitar", documents=10, whole=2)) == set()


def test_words_that_meet_by_chance_make_no_phrase() -> None:
    loose = [
        record(f"{first} {second}", documents=5)
        for first, second in product(
            ("guitar", "sandwich", "kitten", "bridge", "violin", "pumpkin"),
            ("lantern", "carpet", "rabbit", "window", "ladder", "bicycle"),
        )
    ]
    assert not any(" " in phrase for phrase in chosen_phrases(*loose))
    tight = record("sandwich lantern", documents=400)
    others = [entry for entry in loose if entry.key != tight.key]
    assert "sandwich lantern" in chosen_phrases(*others, tight)


def test_new_coinage_needs_many_people_and_a_name_like_form() -> None:
    assert chosen_phrases(record("Zorbulix", documents=6, names=7)) == set()
    assert chosen_phrases(record("Zorbulix", documents=30, names=31)) == {"Zorbulix"}
    assert chosen_phrases(record("zorbulix", documents=30)) == set()
    assert chosen_phrases(record("zorbulix coffee", documents=30)) == {"zorbulix coffee"}


@pytest.mark.parametrize(
    ("forms", "counts", "names", "phrase"),
    [
        (("Guitars", "guitars", "guitar"), (9, 6, 5), 2, "guitars"),
        (("guitar", "Guitars", "guitars"), (9, 2, 6), 0, "guitar"),
        (("new york", "New York", "NEW YORK"), (9, 7, 3), 8, "New York"),
        (("iphone camera", "iPhone camera"), (2, 9), 0, "iPhone camera"),
        (("ICE CREAM", "Ice Cream"), (9, 5), 9, "ice cream"),
        (("italian sausage",), (9,), 0, "Italian sausage"),
        (("DIY",), (9,), 9, "DIY"),
    ],
)
def test_phrase_reads_as_people_write_it(
    forms: tuple[str, ...], counts: tuple[int, ...], names: int, phrase: str
) -> None:
    assert chosen_phrases(record(*forms, counts=counts, names=names)) == {phrase}


def test_variants_are_one_interest_whose_other_forms_are_aliases() -> None:
    spaced = record("street photography", "Street Photography", documents=20)
    joined = record("streetphotography", documents=50)
    found = only(choose_interests(corpus(spaced, joined), ()))
    assert found.phrase == "street photography"
    assert found.keys == (spaced.key, joined.key)
    assert "streetphotography" in found.aliases
    assert found.document_count == 70


def test_no_two_interests_share_a_name() -> None:
    entries = [
        record("hip hop", documents=9),
        record("hip-hop", documents=8),
        record("hiphop", documents=7),
        record("guitar", "guitars", documents=6),
        record("ice cream", "icecream"),
    ]
    known = Interest("g", "Ice-Cream", ("guitars",), 3, pinned=True)
    found = choose_interests(corpus(*entries), [known])
    names = [{name_key(name) for name in (chosen.phrase, *chosen.aliases)} for chosen in found]
    assert sum(map(len, names)) == len(set().union(*names))
    assert len({chosen.interest_id for chosen in found}) == len(found)


def test_known_interest_keeps_its_id_when_its_phrase_changes() -> None:
    known = Interest("street-photo", "streetphotography", ("photo walk",), 30)
    entries = corpus(record("street photography", documents=90), record("photo walks", documents=4))
    found = only(choose_interests(entries, [known]))
    assert (found.interest_id, found.phrase) == ("street-photo", "street photography")
    assert found.document_count == 94
    assert {"streetphotography", "photo walk"} <= set(found.aliases)


def test_new_interest_never_takes_an_id_that_was_used() -> None:
    known = Interest("ice-cream", "gelato", (), 3, pinned=True)
    found = choose_interests(corpus(record("ice cream")), [known])
    assert [(c.interest_id, c.phrase) for c in found] == [
        ("ice-cream", "gelato"),
        ("ice-cream-2", "ice cream"),
    ]


def test_pinned_interest_stays_without_a_record_and_keeps_phrase_and_count() -> None:
    pinned = Interest("a", "Ukulele Nights", (), 12, pinned=True)
    found = only(choose_interests({}, [pinned]))
    assert (found.phrase, found.document_count, found.keys) == ("Ukulele Nights", 12, ())
    named = corpus(record("ukulele night", documents=4))
    found = only(choose_interests(named, [pinned]))
    assert (found.phrase, found.document_count, found.pinned) == ("Ukulele Nights", 12, True)
    assert found.keys == (("ukulele", "night"),)


def test_whoever_is_in_stays_for_less_than_it_takes_to_get_in() -> None:
    entries = corpus(record("guitar", documents=2), record("last night", documents=2))
    known = [Interest("guitar", "guitar", (), 9), Interest("n", "last night", (), 9)]
    assert choose_interests(entries, ()) == []
    assert [c.interest_id for c in choose_interests(entries, known)] == ["guitar", "n"]


def test_whoever_is_not_named_any_more_or_retired_or_blocked_leaves() -> None:
    known = [Interest("guitar", "guitar", (), 9)]
    entries = corpus(record("guitar"))
    blocking = SelectionSettings(blocked=frozenset({"guitar"}))
    assert choose_interests({}, known) == []
    assert choose_interests(entries, known, is_retired=lambda _: True) == []
    assert choose_interests(entries, known, blocking) == []
    pinned = [replace(known[0], pinned=True)]
    assert len(choose_interests(entries, pinned, blocking, is_retired=lambda _: True)) == 1


def test_when_there_are_too_many_the_most_named_are_chosen() -> None:
    entries = [record(word, documents=n) for n, word in enumerate(("guitar", "piano", "flute"), 6)]
    assert chosen_phrases(*entries, settings=SelectionSettings(max_interests=2)) == {
        "piano",
        "flute",
    }


def test_next_choice_from_the_same_records_changes_nothing() -> None:
    entries = corpus(
        record("street photography", "Street Photography"),
        record("streetphotography"),
        record("Jackson Pollock", names=11),
        record("guitars", "guitar"),
    )
    first = choose_interests(entries, ())
    as_graph = [
        Interest(c.interest_id, c.phrase, c.aliases, c.document_count, extractors=c.extractors)
        for c in first
    ]
    assert choose_interests(entries, as_graph) == first


def test_times_span_all_variants_and_the_version_before() -> None:
    early, late = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    entry = replace(record("guitar"), first_seen=late, last_seen=late)
    known = Interest("guitar", "guitar", (), 1, first_seen=early, last_seen=early)
    found = only(choose_interests(corpus(entry), [known]))
    assert (found.first_seen, found.last_seen) == (early, late)
    assert found.extractors == ("tfidf",)


def test_a_hundred_thousand_records_take_seconds() -> None:
    words = ("guitar", "piano", "river", "violin", "bridge", "kitten", "lantern", "market")
    entries = corpus(
        *(
            record(f"{first} {second}{number}", documents=3 + number % 5)
            for first, second in product(words, words)
            for number in range(1_500)
        )
    )
    start = time.monotonic()
    choose_interests(entries, ())
    assert time.monotonic() - start < 60


def replace_documents(entry: PhraseRecord, documents: int) -> PhraseRecord:
    return replace(entry, document_count=documents)
