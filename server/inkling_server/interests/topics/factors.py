"""Non-negative matrix factorisation of TF-IDF, by scikit-learn: quick, and often reads well.

What it needs of scikit-learn is imported when it fits: it takes a second, and most refreshes fit no
topics.
"""

from dataclasses import dataclass

import numpy as np

from inkling_server.interests.topics.model import Bags, Topics, shares


@dataclass(frozen=True, slots=True)
class Nmf:
    """Non-negative matrix factorisation of TF-IDF.

    Attributes:
        topic_count: topics.
        max_iterations: of coordinate descent; it may stop before it has settled: topics no longer
            change by then.
        seed: of the start.
    """

    topic_count: int
    max_iterations: int = 200
    seed: int = 0
    name = "nmf"

    def fit(self, bags: Bags) -> Topics:
        """Finds the topics of a corpus."""
        from sklearn.decomposition import NMF
        from sklearn.feature_extraction.text import TfidfTransformer

        weights_DV = TfidfTransformer(sublinear_tf=True).fit_transform(bags.counts_DV)
        model = NMF(
            self.topic_count,
            init="nndsvda",
            max_iter=self.max_iterations,
            tol=1e-3,
            random_state=self.seed,
        )
        documents_DT = model.fit_transform(weights_DV)
        words_TV = np.asarray(model.components_)
        # A topic's size is free in NMF: it goes into the documents.
        documents_DT = documents_DT * words_TV.sum(axis=1)
        return Topics(bags.words, shares(words_TV), shares(documents_DT))
