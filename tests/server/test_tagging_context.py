"""Texts beside pictures: one ranking with its evidence, and no cost or change without them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from inkling_server.errors import ImageInvalid, Overloaded
from inkling_server.interests.content import ContentItem
from inkling_server.interests.mentions import item_reader
from inkling_server.interests.mentions.reading import TextReaders
from inkling_server.scoring import sigmoid
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import SearchThread
from inkling_server.tagging import (
    STORED_MIN_SCORE,
    STORED_TOP_N,
    ContentQuery,
    Explanation,
    ScoredTag,
    TaggerLimits,
    TagQuery,
)
from tests.server.tagging_kit import RED, Bench
from tests.serving import COLOURS, make_graph, make_state, picture, until


@dataclass(frozen=True, slots=True)
class Posts:
    """What an author posts about, as storage counts it."""

    interest_id: str
    mean_score: float = 1.0
    item_count: int = 95
    author_item_count: int = 95


def texts(**values: Any) -> ContentItem:
    return ContentItem(id="-", **values)


@asynccontextmanager
async def reading_bench(*, reads: bool = True, **limits: Any) -> AsyncIterator[Bench]:
    thread = SearchThread()
    readers = TextReaders() if reads else None
    options = {"capacity": 64, "reserved_for_unary": 0, "max_batches_in_flight": 1, **limits}
    bench = Bench(thread, await make_state(thread, readers=readers), TaggerLimits(**options))
    try:
        yield bench
    finally:
        await bench.tagger.close()
        await bench.holder.close()
        thread.close()
        if readers is not None:
            readers.close()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with reading_bench() as made:
        yield made


def state_of(bench: Bench) -> ServingState:
    return bench.holder.current


def explained(tag: ScoredTag) -> Explanation:
    assert tag.explanation is not None
    return tag.explanation


async def test_picture_and_caption_give_both_with_their_evidence(bench: Bench) -> None:
    result = await bench.tagger.tag(
        TagQuery(RED, explain=True, context=texts(caption="A Green wall.", hashtags=("green",)))
    )
    tags = {tag.phrase: tag for tag in result.tags}
    assert explained(tags["red"]).evidence == ()
    hashtag, caption = explained(tags["green"]).evidence
    assert (hashtag.source, hashtag.text) == ("hashtag", "green")
    assert (caption.source, caption.text) == ("caption", "Green")


async def test_scores_follow_the_equation_of_the_api(bench: Bench) -> None:
    context = texts(caption="Red and green.", comments=("blue", "so blue!"), title="Blue")
    result = await bench.tagger.tag(
        TagQuery(RED, top_n=100, min_score=0.0, explain=True, context=context)
    )
    assert {tag.phrase for tag in result.tags} == set(COLOURS)
    for tag in result.tags:
        why = explained(tag)
        doubt = 1 - float(sigmoid(why.picture_logit + why.prior_logit + why.tag_logit))
        for one in why.evidence:
            doubt *= 1 - one.weight
        assert tag.score == pytest.approx(1 - doubt, abs=1e-7)
    order = [(-tag.score, tag.interest_id) for tag in result.tags]
    assert order == sorted(order)


async def test_what_texts_name_needs_no_place_among_the_pictures_best(bench: Bench) -> None:
    alone = await bench.tagger.tag(TagQuery(RED, top_n=100, min_score=0.0))
    last = alone.tags[-1]
    joined = await bench.tagger.tag(
        TagQuery(RED, top_n=2, explain=True, context=texts(title=last.phrase))
    )
    assert {tag.phrase for tag in joined.tags} == {"red", last.phrase}
    (tag,) = (tag for tag in joined.tags if tag.phrase == last.phrase)
    (said,) = explained(tag).evidence
    assert tag.score == pytest.approx(1 - (1 - last.score) * (1 - said.weight), abs=1e-7)


async def test_threshold_holds_for_joined_scores(bench: Bench) -> None:
    context = texts(comments=("green",))
    low = await bench.tagger.tag(TagQuery(RED, min_score=0.3, context=context))
    assert "green" not in {tag.phrase for tag in low.tags}
    high = await bench.tagger.tag(TagQuery(RED, min_score=0.1, context=context))
    assert "green" in {tag.phrase for tag in high.tags}


@pytest.mark.parametrize("context", [None, texts(), texts(caption="Nothing that anyone names.")])
async def test_without_evidence_an_answer_is_the_pictures_to_the_last_bit(
    bench: Bench, context: ContentItem | None
) -> None:
    async with reading_bench(reads=False) as plain:
        query = TagQuery(RED, top_n=100, min_score=0.0, explain=True)
        expected = await plain.tagger.tag(query)
    query = TagQuery(RED, top_n=100, min_score=0.0, explain=True, context=context)
    assert await bench.tagger.tag(query) == expected


async def test_without_texts_nothing_is_read_or_loaded(bench: Bench) -> None:
    await bench.tagger.tag(TagQuery(RED))
    await bench.tagger.tag(TagQuery(RED, context=texts()))
    reader = state_of(bench).reader
    assert reader is not None
    assert not reader.is_ready
    assert "read" not in {stage for stage, _ in bench.observer.stages}


async def test_a_server_that_cannot_read_answers_from_the_picture_alone() -> None:
    async with reading_bench(reads=False) as bench:
        alone = await bench.tagger.tag(TagQuery(RED))
        assert await bench.tagger.tag(TagQuery(RED, context=texts(title="green"))) == alone
        found = await bench.tagger.tag_content(ContentQuery(None, texts(title="green")))
        assert found.tags == ()


async def test_a_bad_picture_is_refused_whatever_its_texts_say(bench: Bench) -> None:
    with pytest.raises(ImageInvalid):
        await bench.tagger.tag(TagQuery(b"garbage", context=texts(title="green")))
    with pytest.raises(ImageInvalid):
        await bench.tagger.tag_content(ContentQuery(b"", texts(title="green")))


async def test_a_fault_in_reading_costs_its_own_query_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr(item_reader.ItemReader, "read", fail)
    tags = bench.tagger.tag
    outcomes = await asyncio.gather(
        tags(TagQuery(RED)), tags(TagQuery(RED, context=texts(title="x"))), return_exceptions=True
    )
    assert isinstance(outcomes[1], RecursionError)
    assert not isinstance(outcomes[0], BaseException)
    assert bench.tagger.used == 0


async def test_graph_that_changes_while_a_picture_waits_has_its_texts_read_again(
    bench: Bench,
) -> None:
    # Rows of the new graph are others: "green" moves.
    wider = make_graph("g2", {**COLOURS, "amber": 3, "cyan": 4})
    with TextReaders() as readers:
        new = await make_state(bench.thread, graph=wider, encoder=bench.encoder, readers=readers)
        held = await bench.hold()
        (waiting,) = bench.send(RED, explain=True, context=texts(title="green"))
        await until(lambda: bench.tagger.queue_depth == 1)
        freed = bench.holder.swap(new)
        bench.encoder.gate.set()
        result = await waiting
        assert result.graph_version == "g2"
        named = [tag.phrase for tag in result.tags if explained(tag).evidence]
        assert named == ["green"]
        await held
        await freed
        await bench.tagger.close()
        await bench.holder.close()


async def test_stored_tags_are_more_and_always_explained(bench: Bench) -> None:
    query = ContentQuery(RED, texts(caption="A green wall."))
    found = await bench.tagger.tag_content(query)
    assert 1 < len(found.tags) <= STORED_TOP_N
    assert all(tag.score > STORED_MIN_SCORE for tag in found.tags)
    assert all(tag.explanation is not None for tag in found.tags)
    state = state_of(bench)
    assert found.graph_version == state.graph_version
    assert found.model_version == state.model_version
    assert found.fingerprint == state.manifest.fingerprint
    assert found.embedding_D is not None
    assert found.embedding_D.dtype == np.float32
    assert np.linalg.norm(found.embedding_D) == pytest.approx(1, abs=1e-5)
    assert found.embedding_D.base is None


async def test_embeddings_are_each_pictures_own(bench: Bench) -> None:
    held = await bench.hold()
    queries = [ContentQuery(picture(colour), texts()) for colour in ("red", "blue", "red")]
    tasks = [asyncio.create_task(bench.tagger.tag_content(query)) for query in queries]
    await until(lambda: bench.tagger.queue_depth == 3)
    bench.encoder.gate.set()
    first, second, third = [found.embedding_D for found in await asyncio.gather(*tasks)]
    assert first is not None
    assert second is not None
    assert np.array_equal(first, third) if third is not None else False
    assert not np.array_equal(first, second)
    await held


async def test_item_of_texts_alone_needs_no_encoder(bench: Bench) -> None:
    held = await bench.hold()  # the encoder hangs
    query = ContentQuery(None, texts(caption="A green wall, a blue door.", hashtags=("green",)))
    found = await bench.tagger.tag_content(query)
    assert [tag.phrase for tag in found.tags] == ["green", "blue"]
    assert found.tags[1].score == pytest.approx(0.75 * 0.4)  # an adjective
    assert found.embedding_D is None
    assert found.graph_version == "g1"
    why = explained(found.tags[1])
    assert (why.cosine, why.picture_logit, why.calibrated_logit) == (0, 0, None)
    bench.encoder.gate.set()
    await held


async def test_item_of_texts_alone_takes_its_place_in_the_queue() -> None:
    async with reading_bench(capacity=1) as bench:
        held = await bench.hold()
        with pytest.raises(Overloaded):
            await bench.tagger.tag_content(ContentQuery(None, texts(title="red"), wait=False))
        bench.encoder.gate.set()
        await held


async def test_author_strengthens_what_is_shown_and_introduces_nothing(bench: Bench) -> None:
    context = texts(comments=("green",))
    alone = await bench.tagger.tag_content(ContentQuery(RED, context))
    author = (Posts("green"), Posts("yellow"), Posts("gone"))
    known = await bench.tagger.tag_content(ContentQuery(RED, context, author))
    before = {tag.phrase: tag.score for tag in alone.tags}
    after = {tag.phrase: tag for tag in known.tags}
    assert after.keys() == before.keys()
    assert after["green"].score > before["green"]
    assert [one.source for one in explained(after["green"]).evidence] == ["author", "comment"]
    assert after["red"].score == before["red"]


def test_queries_do_not_show_what_people_wrote_or_sent() -> None:
    query = ContentQuery(b"bytes", texts(caption="secret"), (Posts("cat"),))
    assert "secret" not in repr(query)
    assert "bytes" not in repr(query)
    assert "cat" not in repr(query)
