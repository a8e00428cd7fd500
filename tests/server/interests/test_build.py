"""The next version of the graph: identities stay, what is new comes in, what is gone leaves."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inkling_server.interests import build
from inkling_server.interests.activity import ActivitySettings
from inkling_server.interests.build import BuildSettings, Built, build_graph
from inkling_server.interests.communities import Structure, find_structure
from inkling_server.interests.corpus_state import CorpusState
from inkling_server.interests.embedders.base import unit_rows
from inkling_server.interests.engagement import EngagementSettings
from inkling_server.interests.feed import FileMark
from inkling_server.interests.graph import Community, GraphSnapshot, Interest, Topic, make_snapshot
from inkling_server.interests.selection import SelectionSettings
from inkling_server.interests.stages import Stage
from inkling_server.interests.topics.refit import TopicSettings
from inkling_server.interests.vectors import Vectors
from tests.server.interests import corpus_kit as kit
from tests.server.interests.graph_kit import CREATED, snapshot_of

SETTINGS = BuildSettings(
    selection=SelectionSettings(min_documents=5),
    activity=ActivitySettings(retire_after_days=30, half_life_days=10),
    topics=TopicSettings(topic_count=3),
    engagement=EngagementSettings(min_support=3, min_evidence=0),
    min_cosine=0.3,
)
EMPTY = snapshot_of([])
THINGS = {"mountain-bike", "jumping-spider", "sourdough-bread", "vintage-camera", "tree-frog"}


@dataclass
class FakeEmbedder:
    """Vectors by a hash of the phrase; phrases that share a word are near."""

    fingerprint: str = "fake"
    dimension: int = 64
    name: str = "fake"
    asked: list[str] = field(default_factory=list)

    def embed(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        self.asked += phrases
        rows = [sum(self._word(word) for word in phrase.lower().split()) for phrase in phrases]
        rows_PD = np.array(rows, np.float32).reshape(len(phrases), self.dimension)
        return unit_rows(rows_PD)

    def _word(self, word: str) -> NDArray[np.float64]:
        seed = hashlib.sha256(f"{self.fingerprint} {word}".encode()).digest()[:8]
        return np.random.default_rng(int.from_bytes(seed, "little")).normal(size=self.dimension)


@dataclass
class Refreshes:
    """One feed, its state, and the latest version."""

    folder: Path
    state: CorpusState = field(default_factory=CorpusState)
    graph: GraphSnapshot = EMPTY
    vectors: Vectors | None = None
    settings: BuildSettings = SETTINGS
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    told: list[tuple[Stage, int, int]] = field(default_factory=list)

    def refresh(
        self, lines: Sequence[str], *, read_time: datetime = kit.NOW, created: datetime = kit.NOW
    ) -> Built:
        kit.append(self.folder, lines)
        kit.mine_folder(self.folder, self.state, read_time=read_time)
        return self.build(created)

    def build(self, created: datetime = kit.NOW) -> Built:
        self.embedder.asked, self.told = [], []
        built = build_graph(
            self.state,
            self.graph,
            self.vectors,
            self.embedder,
            settings=self.settings,
            created_time=created,
            on_progress=lambda stage, done, total: self.told.append((stage, done, total)),
        )
        self.graph, self.vectors = built.snapshot, built.vectors
        return built

    def interest(self, name: str) -> Interest:
        return {interest.id: interest for interest in self.graph.interests}[name]

    @property
    def ids(self) -> set[str]:
        return {interest.id for interest in self.graph.interests}


@pytest.fixture
def refreshes(tmp_path: Path) -> Refreshes:
    return Refreshes(tmp_path / "feed")


def posts(count: int, start: int = 0, *, days_ago: float = 0, authors: int = 8) -> list[str]:
    """Posts that name each of `THINGS` as often."""
    return [
        kit.item(
            f"p{i}",
            kit.caption(i),
            days_ago=days_ago,
            author=f"author {i % authors}" if authors else None,
        )
        for i in range(start, start + count)
    ]


def about(phrase: str, count: int, *, days_ago: float = 0) -> list[str]:
    """Posts about something else."""
    return [
        kit.item(
            f"{phrase} {i} {days_ago}",
            kit.caption(1_000 + 5 * i + int(100 * days_ago)).replace("mountain bike", phrase),
            days_ago=days_ago,
        )
        for i in range(count)
    ]


def rebuilt(refreshes: Refreshes, vectors: Vectors | None) -> Built:
    """The same state built as if the version before had these vectors."""
    return build_graph(
        refreshes.state,
        refreshes.graph,
        vectors,
        refreshes.embedder,
        settings=refreshes.settings,
        created_time=kit.NOW,
        on_progress=lambda *_: None,
    )


def test_empty_corpus_gives_an_empty_graph(refreshes: Refreshes) -> None:
    built = refreshes.build()
    assert built.snapshot.interests == ()
    assert built.vectors.embeddings_ND.shape == (0, 64)
    assert (built.added_count, built.retired_count) == (0, 0)


def test_frequent_phrases_become_interests_with_what_is_known_of_them(
    refreshes: Refreshes,
) -> None:
    built = refreshes.refresh(posts(60, days_ago=1))
    assert refreshes.ids >= THINGS
    assert built.added_count == len(refreshes.ids)
    spider = refreshes.interest("jumping-spider")
    assert (spider.phrase, spider.count, spider.pinned) == ("jumping spider", 12, False)
    assert spider.first_seen == spider.last_seen == kit.NOW - timedelta(days=1)
    assert "tfidf" in spider.extractors
    assert spider.topic is not None
    assert built.snapshot.document_count == 60
    assert sum(interest.rank for interest in built.snapshot.interests) == pytest.approx(1)
    assert [topic.number for topic in built.snapshot.topics] == [0, 1, 2]
    assert built.vectors.fingerprint == "fake"
    expected_ND = FakeEmbedder().embed([i.phrase for i in built.snapshot.interests])
    assert np.array_equal(built.vectors.embeddings_ND, expected_ND)


def test_stages_are_told_in_their_order(refreshes: Refreshes) -> None:
    refreshes.refresh(posts(60))
    order = [list(Stage).index(stage) for stage, _, _ in refreshes.told]
    assert order == sorted(order)
    count = len(refreshes.ids)
    assert (Stage.EMBEDDING, count, count) in refreshes.told


def test_ids_survive_while_counts_grow(refreshes: Refreshes) -> None:
    refreshes.refresh(posts(60))
    before = refreshes.ids
    built = refreshes.refresh(posts(60, 60))
    assert (built.added_count, built.retired_count) == (0, 0)
    assert refreshes.ids == before
    assert refreshes.interest("jumping-spider").count == 24


def test_id_stays_where_people_write_the_phrase_otherwise(refreshes: Refreshes) -> None:
    refreshes.refresh(posts(60))
    refreshes.refresh(about("jumping spiders", 30))
    spider = refreshes.interest("jumping-spider")
    assert (spider.phrase, spider.aliases) == ("jumping spiders", ("jumping spider",))
    assert refreshes.embedder.asked == ["jumping spiders"]


def test_pinned_interest_stays_without_any_document(refreshes: Refreshes) -> None:
    pinned = Interest("zeppelin", "zeppelin", ("airship",), 3, pinned=True)
    refreshes.graph = snapshot_of([pinned])
    refreshes.refresh(posts(60))
    kept = refreshes.interest("zeppelin")
    assert (kept.phrase, kept.aliases, kept.count, kept.pinned) == (
        "zeppelin",
        ("airship",),
        3,
        True,
    )


def test_phrase_enters_with_enough_documents_only(refreshes: Refreshes) -> None:
    refreshes.refresh(posts(60))
    refreshes.refresh(about("garden gnome", 4))
    assert "garden-gnome" not in refreshes.ids
    built = refreshes.refresh(about("garden gnome", 1, days_ago=0.5))
    assert "garden-gnome" in refreshes.ids
    assert refreshes.interest("garden-gnome").count == 5
    assert built.added_count == 1


def test_new_phrase_trends_against_the_past_and_no_first_refresh_does(
    refreshes: Refreshes,
) -> None:
    past = [line for day in range(10, 40) for line in posts(10, 10 * day, days_ago=day)]
    refreshes.refresh(past, read_time=kit.NOW)
    assert not any(interest.is_trending for interest in refreshes.graph.interests)
    refreshes.refresh([*posts(20, 900), *about("garden gnome", 30)])
    gnome, spider = (refreshes.interest(name) for name in ("garden-gnome", "jumping-spider"))
    assert gnome.is_trending
    assert gnome.trend_z > 3 > spider.trend_z
    assert not spider.is_trending


def test_what_nobody_names_fades_and_then_retires(refreshes: Refreshes) -> None:
    refreshes.refresh([*posts(50, days_ago=40), *about("garden gnome", 8, days_ago=40)])
    assert refreshes.interest("garden-gnome").count == 8
    for day in range(10):
        refreshes.refresh(posts(5, 100 + 5 * day, days_ago=39 - day))
    assert refreshes.interest("garden-gnome").count == 4  # ten days with content: half
    assert refreshes.interest("jumping-spider").count == 20
    later = [line for day in range(21) for line in posts(5, 200 + 5 * day, days_ago=29 - day)]
    built = refreshes.refresh(later)
    assert "garden-gnome" not in refreshes.ids
    assert built.retired_count == 1
    refreshes.refresh(about("garden gnome", 1, days_ago=1))
    assert "garden-gnome" in refreshes.ids  # whoever comes back has the same name


def test_edges_join_by_meaning_and_by_people(refreshes: Refreshes) -> None:
    lines = [*posts(60, authors=0), *about("mountain goat", 12)]
    # Four people like spiders and cameras; four others like bread and frogs.
    for user in range(8):
        liked = (1, 3) if user < 4 else (2, 4)
        lines += [kit.engagement(f"u{user}", f"p{i}") for i in liked]
    built = refreshes.refresh(lines)
    ids = [interest.id for interest in built.snapshot.interests]
    edges = built.snapshot.edges
    joined = {
        (ids[a], ids[b]): (float(s), float(e))
        for (a, b), s, e in zip(
            edges.ends_E2.tolist(), edges.semantic_E, edges.engagement_E, strict=True
        )
    }
    semantic, engagement = joined["jumping-spider", "vintage-camera"]
    assert engagement > 0
    assert semantic == 0
    assert ("jumping-spider", "tree-frog") not in joined
    semantic, engagement = joined["mountain-bike", "mountain-goat"]
    assert semantic == pytest.approx(0.5, abs=0.25)  # one of two words
    assert engagement == 0


def test_only_new_phrases_are_embedded(refreshes: Refreshes) -> None:
    refreshes.refresh(posts(60))
    assert sorted(refreshes.embedder.asked) == sorted(i.phrase for i in refreshes.graph.interests)
    before = refreshes.ids
    refreshes.build()
    assert refreshes.embedder.asked == []
    refreshes.refresh(about("garden gnome", 8))
    new = refreshes.ids - before
    assert sorted(refreshes.embedder.asked) == sorted(refreshes.interest(n).phrase for n in new)
    assert "garden gnome" in refreshes.embedder.asked


def test_other_embedder_embeds_everything_anew(refreshes: Refreshes) -> None:
    refreshes.refresh(posts(60))
    refreshes.embedder = FakeEmbedder("another", 32)
    built = refreshes.build()
    assert len(refreshes.embedder.asked) == len(refreshes.ids)
    assert built.vectors.fingerprint == "another"
    assert built.vectors.embeddings_ND.shape == (len(refreshes.ids), 32)
    whole = rebuilt(refreshes, None)
    assert whole.snapshot.edges == built.snapshot.edges


def test_taking_over_gives_the_edges_that_building_anew_gives(refreshes: Refreshes) -> None:
    refreshes.settings = replace(SETTINGS, neighbor_count=3, min_cosine=0.05)
    refreshes.refresh([*posts(60, days_ago=40), *about("garden gnome", 8, days_ago=40)])
    for day in range(31):  # the gnome retires
        lines = posts(5, 100 + 5 * day, days_ago=35 - day)
        refreshes.refresh(
            [*lines, *about(("mountain goat", "tree house")[day % 2], 2, days_ago=day)]
        )
    anew = rebuilt(refreshes, None)
    assert "garden-gnome" not in refreshes.ids
    assert anew.snapshot.edges == refreshes.graph.edges
    assert len(anew.snapshot.edges)


def test_result_depends_on_nothing_but_its_input(tmp_path: Path) -> None:
    lines = [*posts(60), *(kit.engagement(f"u{i % 4}", f"p{i % 9}") for i in range(40))]
    built = [Refreshes(tmp_path / name).refresh(lines) for name in "ab"]
    assert built[0].snapshot == built[1].snapshot
    assert np.array_equal(built[0].vectors.embeddings_ND, built[1].vectors.embeddings_ND)


def test_state_from_disk_gives_the_same_graph(refreshes: Refreshes, tmp_path: Path) -> None:
    refreshes.refresh(posts(60))
    graph, vectors = refreshes.graph, refreshes.vectors
    again = refreshes.build().snapshot
    refreshes.graph, refreshes.vectors = graph, vectors
    refreshes.state = kit.reloaded(refreshes.state, tmp_path / "state")
    assert refreshes.build().snapshot == again


def test_version_tells_how_far_the_feed_was_read(refreshes: Refreshes) -> None:
    refreshes.refresh(posts(60))
    refreshes.build()
    first = refreshes.build().snapshot
    assert refreshes.build().snapshot.version == first.version
    mark = refreshes.state.watermark["feed.jsonl"]
    for watermark in (
        {"feed.jsonl": FileMark(mark.offset + 1, mark.head)},
        {"feed.jsonl": FileMark(mark.offset, "another file")},
        {"feed.jsonl": mark, "b.jsonl": FileMark(0, "")},
    ):
        refreshes.state.watermark = watermark
        other = refreshes.build().snapshot
        assert other.interests == first.interests
        assert other.version != first.version


def test_topics_are_found_anew_only_when_the_corpus_has_grown(refreshes: Refreshes) -> None:
    refreshes.refresh(posts(60))
    first = refreshes.state.topics
    assert first is not None
    refreshes.refresh(posts(12, 60))
    assert refreshes.state.topics is first
    refreshes.refresh(posts(1, 72))
    assert refreshes.state.topics is not first


def test_size_is_bounded(refreshes: Refreshes) -> None:
    refreshes.settings = replace(
        SETTINGS, selection=SelectionSettings(min_documents=5, max_interests=3)
    )
    refreshes.refresh(posts(60))
    assert len(refreshes.ids) == 3


def test_created_time_is_the_new_versions(refreshes: Refreshes) -> None:
    assert refreshes.build(CREATED).snapshot.created_time == CREATED


def test_communities_are_found_anew_once_enough_edges_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Mapping[str, int] | None] = []

    def spy(*arguments: Any, before: Mapping[str, int] | None = None) -> Structure:
        asked.append(before)
        return find_structure(*arguments, before=before)

    monkeypatch.setattr(build, "find_structure", spy)
    refreshes = Refreshes(tmp_path / "feed")
    built = refreshes.refresh([kit.item(f"p{i}", kit.caption(i)) for i in range(60)]).snapshot
    assert asked == [None]
    grouped = [replace(interest, community=0) for interest in built.interests]
    club = Community(0, "all", len(grouped))
    refreshes.graph = replace(built, interests=tuple(grouped), communities=(club,))
    continued = refreshes.build().snapshot
    assert asked[1] == dict.fromkeys((interest.id for interest in grouped), 0)
    assert [community.interest_count for community in continued.communities] == [len(grouped)]
    # Changes add up over versions, each too small by itself.
    refreshes.state.changed_edge_count = len(built.edges)
    refreshes.build()
    assert asked[2] is None
    assert refreshes.state.changed_edge_count == 0


def test_topics_of_a_graph_without_its_corpus_stay_until_enough_is_read(tmp_path: Path) -> None:
    known = Interest("mountain-bike", "mountain bike", count=900, topic=1)
    topics = (Topic(0, ("frog", "tree")), Topic(1, ("bike", "wheel")))
    graph = make_snapshot([known], CREATED, topics=topics, document_count=1_000)
    refreshes = Refreshes(tmp_path / "feed", state=CorpusState.of_graph(graph), graph=graph)
    few = refreshes.refresh([kit.item(f"p{i}", kit.caption(i)) for i in range(60)]).snapshot
    assert few.topics == topics
    assert {i.id: i.topic for i in few.interests}["mountain-bike"] == 1
    many = refreshes.refresh([kit.item(f"q{i}", kit.caption(i)) for i in range(60, 400)]).snapshot
    assert len(many.topics) == SETTINGS.topics.topic_count
    assert many.topics != topics
