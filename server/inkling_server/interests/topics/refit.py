"""Keeps a corpus's topics up to date: found anew only when the corpus has grown by a share.

A model is fitted to a sample of documents, so that its time does not grow with the corpus. It does
not know phrases or the graph.
"""

from dataclasses import dataclass
from statistics import median
from typing import Literal

from inkling_server.interests.corpus_state import CorpusState, TopicState
from inkling_server.interests.topics.biterm import Biterm
from inkling_server.interests.topics.factors import Nmf
from inkling_server.interests.topics.lda import Lda
from inkling_server.interests.topics.model import Bags, TopicModel

# Words of a typical document below which it is short: its own words are too few to tell a topic by.
_SHORT = 12
# Documents for each topic, at least.
_DOCUMENTS_A_TOPIC = 5

ModelName = Literal["auto", "lda", "nmf", "biterm"]


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """How topics are found.

    Attributes:
        model: "auto" takes biterm for short texts and NMF for longer ones.
        topic_count: topics, at most; fewer for a small corpus.
        refit_share: growth of the corpus since the last time that makes it worth while.
        seed: of the start.
    """

    model: ModelName = "auto"
    topic_count: int = 50
    refit_share: float = 0.2
    seed: int = 0


def refit(state: CorpusState, settings: TopicSettings) -> None:
    """Finds the topics of `state.sample` into `state.topics`, if it is time to."""
    name = _name(state.sample, settings)
    known = state.topics
    if known is not None and known.model == name:
        grown = state.document_count - known.document_count
        if grown <= settings.refit_share * known.document_count:
            return
    if known is None and state.sampled_from < settings.refit_share * state.document_count:
        return  # most of the corpus is not known: the graph came with topics of its own
    documents = [words for words in state.sample if words]
    topic_count = min(settings.topic_count, len(documents) // _DOCUMENTS_A_TOPIC)
    if topic_count < 2:
        return
    try:
        bags = Bags.of(documents)
    except ValueError:
        return  # no word stands in two documents
    topic_count = min(topic_count, len(bags.words))
    topics = _model(name, topic_count, settings.seed).fit(bags)
    state.topics = TopicState(name, topics, state.document_count)


def _name(sample: list[list[str]], settings: TopicSettings) -> str:
    if settings.model != "auto":
        return settings.model
    lengths = [len(words) for words in sample if words]
    return "biterm" if not lengths or median(lengths) < _SHORT else "nmf"


def _model(name: str, topic_count: int, seed: int) -> TopicModel:
    kinds: dict[str, type[Lda] | type[Nmf] | type[Biterm]] = {
        "lda": Lda,
        "nmf": Nmf,
        "biterm": Biterm,
    }
    return kinds[name](topic_count, seed=seed)
