"""Topic models find planted topics; coherence and diversity say so."""

import random

import numpy as np
import pytest

from inkling_server.interests.topics.biterm import Biterm
from inkling_server.interests.topics.coherence import diversity, npmi_coherence
from inkling_server.interests.topics.factors import Nmf
from inkling_server.interests.topics.lda import Lda
from inkling_server.interests.topics.model import Bags, TopicModel, topic_words
from tests.server.interests.phrase_kit import SPIDERS, read

PLANTED = {
    "food": ["pasta", "sauce", "garlic", "oven", "dough", "cheese"],
    "bikes": ["gear", "chain", "saddle", "brake", "wheel", "pedal"],
    "space": ["rocket", "orbit", "moon", "comet", "probe", "launch"],
}


def texts(words_each: int) -> list[list[str]]:
    rng = random.Random(7)
    return [rng.choices(words, k=words_each) for words in PLANTED.values() for _ in range(60)]


MODELS: list[TopicModel] = [Lda(3), Nmf(3), Biterm(3)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_planted_topics_are_found(model: TopicModel) -> None:
    documents = texts(8)
    topics = model.fit(Bags.of(documents))
    assert sorted(sorted(words) for words in topics.top_words(6)) == sorted(
        sorted(words) for words in PLANTED.values()
    )
    assert topics.count == 3
    # Documents of one planted topic agree, those of different ones do not.
    best_D = topics.documents_DT.argmax(axis=1).reshape(3, 60)
    assert len({int(np.bincount(row).argmax()) for row in best_D}) == 3
    assert (best_D == best_D[:, :1]).mean() > 0.95


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_probabilities_sum_to_one_also_for_documents_without_known_words(
    model: TopicModel,
) -> None:
    topics = model.fit(Bags.of([*texts(4), [], ["unheard"]]))
    assert topics.words_TV.sum(axis=1) == pytest.approx(np.ones(3))
    assert topics.documents_DT.sum(axis=1) == pytest.approx(np.ones(len(topics.documents_DT)))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_same_bags_give_the_same_topics(model: TopicModel) -> None:
    bags = Bags.of(texts(4))
    assert np.array_equal(model.fit(bags).words_TV, model.fit(bags).words_TV)


def test_lda_refuses_a_prior_of_zero() -> None:
    with pytest.raises(ValueError, match="above zero"):
        Lda(3, topic_prior=0)


def test_phrase_belongs_to_the_topic_of_its_words() -> None:
    topics = Nmf(3).fit(Bags.of(texts(8)))
    food = topics.topic_of(["garlic", "sauce"])
    assert food is not None
    assert "pasta" in topics.top_words(6)[food]
    assert topics.topic_of(["unheard"]) is None


def test_biterm_takes_only_the_telling_words_of_a_long_text() -> None:
    documents = [["all", *words] for words in texts(4)] + [["all", "pasta", "rocket"]] * 3
    bags = Bags.of(documents, max_share=1.0)
    assert Biterm(3, max_words=2).fit(bags).count == 3


def test_biterm_gives_a_word_only_to_topics_that_have_more_of_it_than_others() -> None:
    food, bikes = texts(5)[:60], texts(5)[60:120]
    documents = [["all", *words] for words in food]
    documents += [["all", *words] if i % 5 == 0 else words for i, words in enumerate(bikes)]
    bags = Bags.of(documents, max_share=1.0)
    place = bags.words.index("all")
    with_background = sorted(Biterm(2, background=0.5).fit(bags).words_TV[:, place])
    without = sorted(Biterm(2, background=0.0).fit(bags).words_TV[:, place])
    assert with_background[0] < 0.005 < 0.03 < without[0]
    assert with_background[1] > without[1]


def test_words_of_too_few_or_too_many_documents_are_left_out() -> None:
    bags = Bags.of([["a", "b"], ["a", "b"], ["a", "c"], ["a", "b", "d"]], max_share=0.8)
    assert bags.words == ("b",)
    assert bags.counts_DV.sum() == 3


def test_corpus_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no terms|empty vocabulary"):
        Bags.of([["a"], ["b"]], max_share=1.0)


def test_topic_words_are_those_that_can_tell_a_topic() -> None:
    words = topic_words(read(SPIDERS))
    assert {"spider", "forest", "insect"} <= set(words)
    assert not {"the", "day", "small", "be"} & set(words)


def test_coherence_of_words_that_go_together_is_high() -> None:
    documents = [["salt", "pepper"]] * 5 + [["moon"]] * 5
    found = npmi_coherence([["salt", "pepper"], ["salt", "moon"], ["salt"]], documents)
    assert found == pytest.approx([1.0, -1.0, 0.0])


def test_coherence_counts_windows_and_not_whole_documents() -> None:
    document = ["salt", *["x"] * 20, "pepper"]
    assert npmi_coherence([["salt", "pepper"]], [document], window=10) == [-1.0]
    assert npmi_coherence([["salt", "pepper"]], [document], window=22) == [1.0]


def test_coherence_of_chance_is_near_zero() -> None:
    documents = [["a", "b"], ["a"], ["b"], ["z"]]
    assert npmi_coherence([["a", "b"]], documents) == pytest.approx([0.0])


def test_diversity_is_the_share_of_distinct_words() -> None:
    assert diversity([["a", "b"], ["a", "c"]]) == 0.75
    assert diversity([]) == 0.0
