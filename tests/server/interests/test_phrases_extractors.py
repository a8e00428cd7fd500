"""Every extractor keeps the contract; each finds what its method looks for."""

import math
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from inkling_server.interests.phrases.combine import Combination, all_extractors
from inkling_server.interests.phrases.extractor import Extractor
from inkling_server.interests.phrases.pagerank import pagerank
from inkling_server.interests.phrases.rake import Rake
from inkling_server.interests.phrases.statistical import Statistical
from inkling_server.interests.phrases.textrank import TextRank
from inkling_server.interests.phrases.tfidf import DocumentFrequencies, TfIdf
from inkling_server.interests.phrases.topicrank import TopicRank
from tests.server.interests.phrase_kit import SPIDERS, read


def frequencies() -> DocumentFrequencies:
    found = DocumentFrequencies()
    for text in (SPIDERS, "the rain forest burns", "a rain forest walk"):
        found.add(read(text))
    return found


MAKERS: dict[str, Callable[[], Extractor]] = {
    "tfidf": lambda: TfIdf(frequencies()),
    "rake": Rake,
    "textrank": TextRank,
    "topicrank": TopicRank,
    "statistical": Statistical,
    "combination": lambda: Combination(all_extractors(frequencies())),
}


@pytest.fixture(params=list(MAKERS))
def extractor(request: pytest.FixtureRequest) -> Extractor:
    return MAKERS[request.param]()


def test_ranks_whole_candidates_best_first_with_finite_scores(extractor: Extractor) -> None:
    document = read(SPIDERS)
    found = extractor.rank(document)
    scores = [phrase.score for phrase in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < math.inf for score in scores)
    assert {phrase.key for phrase in found} == {candidate.key for candidate in document.whole}


def test_what_the_text_is_about_comes_first(extractor: Extractor) -> None:
    best = [phrase.text.lower() for phrase in extractor.rank(read(SPIDERS))[:3]]
    assert "jumping spiders" in best


@pytest.mark.parametrize("text", ["", "and then it was", "spider", "Spider! Spider?"])
def test_almost_nothing_to_rank(extractor: Extractor, text: str) -> None:
    found = extractor.rank(read(text))
    assert len(found) == ("pider" in text)


def test_same_document_gives_the_same_ranking(extractor: Extractor) -> None:
    assert extractor.rank(read(SPIDERS)) == extractor.rank(read(SPIDERS))


def test_name_goes_into_provenance(extractor: Extractor) -> None:
    assert extractor.name in MAKERS


@pytest.mark.parametrize("name", ["tfidf", "textrank", "topicrank", "statistical", "combination"])
def test_earlier_of_two_phrases_that_are_alike_otherwise_scores_higher(name: str) -> None:
    first, last = MAKERS[name]().rank(read("the tree frog, and here is, the red kite"))
    assert (first.text, last.text) == ("tree frog", "red kite")
    assert first.score > last.score


def test_tfidf_prefers_what_other_documents_do_not_have() -> None:
    found = TfIdf(frequencies()).rank(read("the rain forest, the tree frog"))
    assert [phrase.text for phrase in found] == ["tree frog", "rain forest"]


def test_pruned_frequencies_forget_the_rare() -> None:
    counts = frequencies()
    counts.prune(2)
    assert counts["rain", "forest"] == 3
    assert counts["jumping", "spider"] == 0
    assert counts.document_count == 3


def test_rake_prefers_words_that_keep_company() -> None:
    found = Rake().rank(read("fresh mountain goat cheese, milk, goat"))
    assert found[0].text == "fresh mountain goat cheese"
    assert found[-1].text == "milk"


def test_topicrank_gives_a_long_document_only_its_best_phrases() -> None:
    text = ". ".join(f"the zorb{i} blick{i}" for i in range(40))
    assert len(TopicRank(max_phrases=10).rank(read(text))) == 10


@pytest.mark.parametrize("count", [5, 400])
def test_pagerank_is_that_of_networkx(count: int) -> None:
    rng = np.random.default_rng(count)
    graph = nx.Graph()
    graph.add_nodes_from(range(count))
    for left, right in rng.integers(count, size=(3 * count, 2)).tolist():
        if left < right:
            graph.add_edge(left, right, weight=float(rng.integers(1, 5)))
    expected = nx.pagerank(graph, tol=1e-10)
    weights = {(a, b): data["weight"] for a, b, data in graph.edges(data=True)}
    ranks_N = pagerank(weights, count)
    assert ranks_N == pytest.approx([expected[i] for i in range(count)], abs=1e-6)


def test_combination_needs_an_extractor() -> None:
    with pytest.raises(ValueError, match="needs an extractor"):
        Combination([])


def test_combination_says_who_found_a_phrase() -> None:
    combination = Combination(all_extractors(frequencies()), best=3)
    found = combination.combine(read(SPIDERS))
    assert set(found.found_by["jumping", "spider"]) == set(combination.extractor_names)
