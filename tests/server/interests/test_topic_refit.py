"""Topics are found anew when the corpus has grown, and not before."""

import random

import numpy as np
import pytest

from inkling_server.interests.corpus_state import CorpusState, TopicState
from inkling_server.interests.topics.model import Topics
from inkling_server.interests.topics.refit import ModelName, TopicSettings, refit

SEA = ["wave", "beach", "surf", "sand", "tide", "shell", "coast", "boat"]
KITCHEN = ["bread", "flour", "oven", "dough", "yeast", "salt", "butter", "sugar"]


def state_of(document_count: int, words: int = 5) -> CorpusState:
    """Documents about the sea or the kitchen, in turns."""
    rng = random.Random(1)
    sample = [rng.choices((SEA, KITCHEN)[i % 2], k=words) for i in range(document_count)]
    return CorpusState(document_count=document_count, sample=sample, sampled_from=document_count)


def found(state: CorpusState) -> TopicState:
    assert state.topics is not None
    return state.topics


@pytest.mark.parametrize("model", ["lda", "nmf", "biterm"])
def test_every_model_tells_the_sea_from_the_kitchen(model: ModelName) -> None:
    state = state_of(60)
    refit(state, TopicSettings(model=model, topic_count=2))
    assert (found(state).model, found(state).document_count) == (model, 60)
    tops = [set(words) for words in found(state).topics.top_words(5)]
    assert sorted([len(top & set(SEA)) for top in tops]) == [0, 5]


@pytest.mark.parametrize(("words", "model"), [(5, "biterm"), (20, "nmf")])
def test_model_follows_the_length_of_texts(words: int, model: str) -> None:
    state = state_of(60, words)
    refit(state, TopicSettings(topic_count=2))
    assert found(state).model == model


def test_topics_stay_until_the_corpus_has_grown() -> None:
    settings = TopicSettings(topic_count=2, refit_share=0.2)
    state = state_of(60)
    refit(state, settings)
    first = found(state)
    state.document_count = 72
    refit(state, settings)
    assert state.topics is first
    state.document_count = 73
    refit(state, settings)
    assert found(state) is not first
    assert found(state).document_count == 73


def test_other_model_is_fitted_at_once() -> None:
    state = state_of(60)
    refit(state, TopicSettings(model="nmf", topic_count=2))
    refit(state, TopicSettings(model="lda", topic_count=2))
    assert found(state).model == "lda"


@pytest.mark.parametrize(
    "state",
    [
        CorpusState(),
        state_of(9),
        CorpusState(document_count=40, sample=[[] for _ in range(40)]),
        CorpusState(document_count=40, sample=[[f"word{i}"] for i in range(40)]),
    ],
    ids=["empty", "few", "without words", "without a common word"],
)
def test_too_little_to_tell_topics_is_no_error(state: CorpusState) -> None:
    refit(state, TopicSettings())
    assert state.topics is None


def test_topics_that_were_found_stay_where_too_little_is_left() -> None:
    known = TopicState("biterm", Topics(("sea",), np.ones((1, 1)), np.ones((1, 1))), 1)
    state = state_of(9)
    state.topics = known
    refit(state, TopicSettings())
    assert state.topics is known


@pytest.mark.parametrize("model", ["lda", "nmf", "biterm"])
def test_small_corpus_gets_fewer_topics(model: ModelName) -> None:
    state = state_of(20)
    refit(state, TopicSettings(model=model, topic_count=50))
    assert found(state).topics.count == 4


@pytest.mark.parametrize("model", ["lda", "nmf", "biterm"])
def test_fewer_words_than_topics_are_no_error(model: ModelName) -> None:
    words = [["wave"], ["surf"], ["sand"]]
    sample = [words[i % 3] for i in range(60)]
    state = CorpusState(document_count=60, sample=sample, sampled_from=60)
    refit(state, TopicSettings(model=model, topic_count=10))
    assert found(state).topics.count == 3


def test_same_sample_gives_the_same_topics() -> None:
    one, other = state_of(60), state_of(60)
    for state in (one, other):
        refit(state, TopicSettings(topic_count=3))
    assert np.array_equal(found(one).topics.words_TV, found(other).topics.words_TV)
