"""Writes log_odds_reference.json: what scattertext and convokit say of some counts.

    python -m pip install --no-deps -r requirements/profile-references.txt --target build/odds
    PYTHONPATH=build/odds python -m tests.server.profiles.make_reference

With both on the path, test_compare_parity.py compares with them directly, too:

    PYTHONPATH=build/odds python -m pytest tests/server/profiles/test_compare_parity.py
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tests.server.profiles.log_odds_references import Counts, convokit_z, scattertext_z

REFERENCE = Path(__file__).with_name("log_odds_reference.json")
# clusters, pictures of the first and of the second, what the prior is worth
CASES = (
    (3, 6, 4, 3.0),
    (8, 40, 15, 20.0),
    (24, 10, 200, 24.0),
    (24, 0, 30, 5.0),
    (40, 60, 60, 0.5),
)


def counts(
    rng: np.random.Generator, clusters: int, first: int, second: int, scale: float
) -> tuple[Counts, Counts, Counts]:
    """Pseudo-counts of two people with tastes of their own, and a prior; six digits each."""
    general_K = rng.dirichlet(np.full(clusters, 2.0))
    prior_K = np.maximum(np.round(scale * general_K, 6), 1e-6)
    people = [
        rng.dirichlet(rng.dirichlet(30 * general_K / clusters + 0.05) * 2 + 0.01, size=n).sum(
            axis=0
        )
        for n in (first, second)
    ]
    return np.round(people[0], 6), np.round(people[1], 6), prior_K


def main(arguments: list[str] | None = None) -> None:
    """Runs both packages; `arguments` are not used."""
    del arguments
    rng = np.random.default_rng(20081)
    cases: list[dict[str, Any]] = []
    for case in CASES:
        first_K, second_K, prior_K = counts(rng, *case)
        cases.append(
            {
                "first": first_K.tolist(),
                "second": second_K.tolist(),
                "prior": prior_K.tolist(),
                "scattertext_z": scattertext_z(first_K, second_K, prior_K).tolist(),
                "convokit_z": convokit_z(first_K, second_K, prior_K).tolist(),
            }
        )
    document = {
        "scattertext": f"{version('scattertext')}: LogOddsRatioInformativeDirichletPrior"
        ".get_zeta_i_j_given_separate_counts, scale_type 'word'",
        "convokit": f"{version('convokit')}: FightingWords._bayes_compare_language",
        "cases": cases,
    }
    REFERENCE.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
