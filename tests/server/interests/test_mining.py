"""Mining adds what is new, and nothing twice."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from inkling_server.interests import corpus_state, mining
from inkling_server.interests.corpus_state import CorpusState, phrase_hash
from inkling_server.interests.corpus_state_files import load_state, save_state
from inkling_server.interests.feed import FolderFeed
from inkling_server.interests.mining import MiningCounts
from inkling_server.interests.phrases.corpus import day_of
from inkling_server.interests.text.preprocess import TextSettings
from tests.server.interests import corpus_kit as kit

TODAY = day_of(kit.NOW)
SPIDER = ("jumping", "spider")
BIKE = ("mountain", "bike")


def mixed_feed(count: int) -> list[str]:
    """Items with authors and days, some repeated, and engagements with earlier items."""
    lines = []
    for i in range(count):
        author = f"author {i % 9}" if i % 3 else None
        lines.append(kit.item(f"p{i}", kit.caption(i), days_ago=(i * 7) % 40, author=author))
        if i % 4 == 0:
            lines.append(kit.engagement(f"user {i % 5}", f"p{i // 2}"))
        if i % 10 == 9:
            lines.append(kit.item(f"p{i - 5}", kit.caption(900 + i)))  # an id again
            lines.append(kit.item(f"again {i}", kit.caption(i - 7) + " Wow!"))  # a text again
            lines.append("no JSON")
    return lines


def mined(folder: Path) -> tuple[CorpusState, MiningCounts]:
    state = CorpusState()
    return state, kit.mine_folder(folder, state)


def test_what_a_corpus_says_is_counted(tmp_path: Path) -> None:
    lines = [kit.item(f"p{i}", kit.caption(i), days_ago=i) for i in range(10)]
    kit.append(tmp_path / "feed", [*lines, kit.engagement("u", "p1"), kit.engagement("u", "gone")])
    state, counts = mined(tmp_path / "feed")
    assert counts == MiningCounts(item_count=10, kept_count=10, engagement_count=2)
    spider = state.records[SPIDER]
    assert (spider.document_count, spider.count) == (2, 2)
    assert spider.days == {TODAY - 1: 1, TODAY - 6: 1}
    assert spider.last_day == TODAY - 1
    assert spider.last_seen == kit.NOW - timedelta(days=1)
    assert spider.first_seen == kit.NOW - timedelta(days=6)
    assert state.documents_by_day == {TODAY - i: 1 for i in range(10)}
    assert state.document_count == state.frequencies.document_count == 10
    assert sum(state.phrases_by_day.values()) == sum(
        record.document_count for record in state.records.values()
    )
    assert state.watermark["feed.jsonl"].offset == (tmp_path / "feed/feed.jsonl").stat().st_size


@pytest.mark.parametrize("cut", [1, 37, 88])
def test_two_halves_give_what_the_whole_gives(tmp_path: Path, cut: int) -> None:
    lines = mixed_feed(80)
    kit.append(tmp_path / "whole", lines)
    whole, all_counts = mined(tmp_path / "whole")
    kit.append(tmp_path / "feed", lines[:cut])
    first, first_counts = mined(tmp_path / "feed")
    kit.append(tmp_path / "feed", lines[cut:])
    state = kit.reloaded(first, tmp_path / "state")
    state_counts = kit.mine_folder(tmp_path / "feed", state)

    for name in MiningCounts.__slots__:
        both = getattr(first_counts, name) + getattr(state_counts, name)
        assert both == getattr(all_counts, name), name
    assert all_counts.near_duplicate_count == 16
    assert state.document_count == whole.document_count == 80
    assert dict(state.frequencies.items()) == dict(whole.frequencies.items())
    assert state.documents_by_day == whole.documents_by_day
    assert state.phrases_by_day == whole.phrases_by_day
    assert state.records.keys() == whole.records.keys()
    for key, record in state.records.items():
        other = whole.records[key]
        for name in (
            "count",
            "document_count",
            "whole_count",
            "name_count",
            "forms",
            "first_seen",
            "last_seen",
            "days",
            "last_day",
        ):
            assert getattr(record, name) == getattr(other, name), (key, name)
        assert record.score == pytest.approx(other.score, rel=0.5)
    assert (state.signatures_MH == whole.signatures_MH).all()
    assert list(map(sorted, state.sample)) == list(map(sorted, whole.sample))
    # People have other keys in another state: hashes are salted.
    assert sorted(sorted(p) for p in state.people.values()) == sorted(
        sorted(p) for p in whole.people.values()
    )
    assert sorted(state.items.values()) == sorted(whole.items.values())


def test_nothing_new_changes_nothing(tmp_path: Path) -> None:
    kit.append(tmp_path / "feed", mixed_feed(20))
    state, _ = mined(tmp_path / "feed")
    before = kit.reloaded(state, tmp_path / "before")
    assert kit.mine_folder(tmp_path / "feed", state) == MiningCounts()
    assert state.records == before.records
    assert (state.items, state.people) == (before.items, before.people)
    assert state.watermark == before.watermark


@pytest.mark.parametrize("engaged_first", [False, True])
def test_engagement_counts_before_and_after_its_item(tmp_path: Path, engaged_first: bool) -> None:
    lines = [kit.item("a", kit.caption(1)), kit.engagement("u", "a", "save")]
    kit.append(tmp_path / "feed", lines[::-1] if engaged_first else lines)
    state, _ = mined(tmp_path / "feed")
    assert phrase_hash(SPIDER) in state.people[state.person_hash("u")]


def test_engagement_with_an_item_of_an_earlier_refresh_counts(tmp_path: Path) -> None:
    kit.append(tmp_path / "feed", [kit.item("a", kit.caption(1))])
    state = kit.reloaded(mined(tmp_path / "feed")[0], tmp_path / "state")
    kit.append(tmp_path / "feed", [kit.engagement("u", "a")])
    assert kit.mine_folder(tmp_path / "feed", state).engagement_count == 1
    assert phrase_hash(SPIDER) in state.people[state.person_hash("u")]


def test_engagement_waits_for_its_item_until_a_later_refresh(tmp_path: Path) -> None:
    kit.append(tmp_path / "feed", [kit.engagement("u", "late")])
    state, _ = mined(tmp_path / "feed")
    save_state(state, tmp_path)
    state = load_state(tmp_path)
    assert len(state.pending) == 1
    kit.append(tmp_path / "feed", [kit.item("late", kit.caption(1))])
    kit.mine_folder(tmp_path / "feed", state)
    assert list(state.people) == [state.person_hash("u")]
    assert state.pending == []


def test_hiding_joins_nothing(tmp_path: Path) -> None:
    kit.append(
        tmp_path / "feed",
        [
            kit.item("a", kit.caption(1)),
            kit.item("b", kit.caption(0)),
            kit.engagement("u", "a", "hide"),
            kit.engagement("u", "b", "like"),
        ],
    )
    state, counts = mined(tmp_path / "feed")
    assert counts.engagement_count == 2
    liked = state.people[state.person_hash("u")]
    assert phrase_hash(BIKE) in liked
    assert phrase_hash(SPIDER) not in liked


def test_author_cares_for_what_they_post(tmp_path: Path) -> None:
    kit.append(tmp_path / "feed", [kit.item("a", kit.caption(1), author="u")])
    state, counts = mined(tmp_path / "feed")
    assert counts.engagement_count == 0
    assert phrase_hash(SPIDER) in state.people[state.person_hash("u")]


@pytest.mark.parametrize("later", [False, True], ids=["one refresh", "two refreshes"])
@pytest.mark.parametrize(
    ("name", "number"), [("a", 4), ("b", 1)], ids=["same id, new text", "new id, same text"]
)
def test_repeats_are_dropped(tmp_path: Path, name: str, number: int, later: bool) -> None:
    kit.append(tmp_path / "feed", [kit.item("a", kit.caption(1))])
    state = CorpusState()
    counts = [kit.mine_folder(tmp_path / "feed", state)] if later else []
    state = kit.reloaded(state, tmp_path / "state")
    kit.append(tmp_path / "feed", [kit.item(name, kit.caption(number))])
    counts.append(kit.mine_folder(tmp_path / "feed", state))
    assert sum(c.near_duplicate_count for c in counts) == 1
    assert sum(c.item_count for c in counts) == 2
    assert state.records[SPIDER].document_count == state.document_count == 1
    assert ("tree", "frog") not in state.records


def test_counts_add_up(tmp_path: Path) -> None:
    kit.append(
        tmp_path / "feed",
        [
            kit.item("a", kit.caption(1)),
            kit.item("b", kit.caption(1)),
            kit.item("c", "Ich habe heute einen sehr schönen Tag am See verbracht"),
            kit.item("d", "😂"),
            kit.item("a", kit.caption(2)),
            "broken",
            kit.engagement("u", "a"),
        ],
    )
    _, counts = mined(tmp_path / "feed")
    assert counts == MiningCounts(7 - 2, 1, 2, 1, 1, 1, 1)


def test_items_from_the_future_count_today(tmp_path: Path) -> None:
    far = json.dumps({"id": "a", "caption": kit.caption(1), "created_time": "9999-12-31T23:59:59Z"})
    kit.append(tmp_path / "feed", [far, kit.item("b", kit.caption(0), days_ago=-3)])
    state, _ = mined(tmp_path / "feed")
    assert state.documents_by_day == {TODAY: 2}
    for key in (SPIDER, BIKE):
        record = state.records[key]
        assert (record.days, record.last_day) == ({TODAY: 1}, TODAY)
        assert record.last_seen == record.first_seen == kit.NOW


def test_items_without_a_time_count_on_the_day_they_are_read(tmp_path: Path) -> None:
    undated = json.dumps({"id": "a", "caption": kit.caption(1)})
    ancient = json.dumps({"id": "b", "caption": kit.caption(0), "created_time": "0001-01-01"})
    kit.append(tmp_path / "feed", [undated, ancient])
    state, _ = mined(tmp_path / "feed")
    assert state.documents_by_day == {TODAY: 1, -719_162: 1}
    assert state.records[SPIDER].last_seen is None
    loaded = kit.reloaded(state, tmp_path / "state")
    assert loaded.records == state.records


def test_hostile_text_is_mined_like_any_other(tmp_path: Path) -> None:
    kit.append(
        tmp_path / "feed",
        [
            r'{"id": "\ud83d", "caption": "a jumping spider \ud83d", "author_id": "\udc00"}',
            json.dumps({"id": "\0", "caption": "a\0jumping spider\0", "author_id": "\0"}),
            json.dumps({"id": "c", "caption": "#" * 5_000 + "@" * 5_000 + "jumping spider " * 900}),
            json.dumps({"id": "d", "caption": "x" * 100_000, "comments": ["jumping spider"]}),
            json.dumps(
                {"id": "e" * 100_000, "caption": "jumping\u2028spider \u202e jumping spider"}
            ),
            kit.item("f", kit.caption(1)),
        ],
    )
    state, counts = mined(tmp_path / "feed")
    assert (counts.item_count, counts.invalid_count) == (6, 0)
    assert state.records[SPIDER].document_count >= 4
    assert kit.reloaded(state, tmp_path / "state").records == state.records


def test_sample_is_bounded_and_drawn_from_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "MAX_SAMPLE", 10)
    kit.append(tmp_path / "feed", [kit.item(f"p{i}", kit.caption(i)) for i in range(60)])
    state, _ = mined(tmp_path / "feed")
    assert (len(state.sample), state.sampled_from) == (10, 60)
    first = [kit.caption(i).split()[-1].rstrip(".") for i in range(10)]
    kept = {word for words in state.sample for word in words}
    assert any(word not in kept for word in first)
    again, _ = mined(tmp_path / "feed")
    assert again.sample == state.sample


def test_records_items_and_engagements_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_state, "MAX_ITEMS", 5)
    monkeypatch.setattr(mining, "_MAX_BUFFERED_ENGAGEMENTS", 3)
    lines = [kit.item(f"p{i}", kit.caption(i)) for i in range(40)]
    lines += [kit.engagement(f"u{i}", "p39") for i in range(9)]
    kit.append(tmp_path / "feed", lines)
    state = CorpusState()
    counts = kit.mine_folder(tmp_path / "feed", state, max_records=10)
    assert counts.engagement_count == 9
    assert (len(state.items), len(state.people)) == (5, 3)
    assert len(state.records) <= 10
    assert SPIDER in state.records  # frequent ones stay
    assert len(state.frequencies) <= 40


def test_long_posts_have_bounded_phrases_in_items(tmp_path: Path) -> None:
    words = " and the ".join(kit.caption(i).split("Notes: ")[1] for i in range(50))
    kit.append(tmp_path / "feed", [kit.item("a", f"Look at the jumping spider. {words}")])
    state, _ = mined(tmp_path / "feed")
    (phrases,) = state.items.values()
    assert len(phrases) <= 24 * 8
    assert phrase_hash(SPIDER).to_bytes(8, "little") in phrases


def test_progress_is_told_up_to_the_end(tmp_path: Path) -> None:
    kit.append(tmp_path / "feed", [kit.item(f"p{i}", kit.caption(i)) for i in range(150)])
    told: list[tuple[int, int]] = []
    reader = FolderFeed(tmp_path / "feed").open({})
    mining.mine(
        reader,
        CorpusState(),
        text=TextSettings(near_duplicate_memory=1_000),
        read_time=kit.NOW,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == sorted(told)
    assert told[-1] == (reader.total_bytes, reader.total_bytes)
    assert len(told) >= 3
