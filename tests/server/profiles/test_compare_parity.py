"""Our log-odds ratio beside scattertext's and convokit's; see log_odds_references.py."""

import json
from typing import Any

import numpy as np
import pytest

from inkling_server.profiles.compare import LogOddsVariance, log_odds_ratio
from tests.server.profiles.log_odds_references import convokit_z, installed, scattertext_z
from tests.server.profiles.make_reference import CASES, REFERENCE, counts

_CASES: list[dict[str, Any]] = json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"]
# convokit keeps counts as float32.
_FLOAT32 = 1e-4


@pytest.mark.parametrize("case", _CASES)
def test_full_variance_is_scattertexts(case: dict[str, Any]) -> None:
    first_K, second_K, prior_K = (np.array(case[name]) for name in ("first", "second", "prior"))

    ours = log_odds_ratio(first_K, second_K, prior_K, LogOddsVariance.FULL)

    np.testing.assert_allclose(ours.z_K, case["scattertext_z"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", _CASES)
def test_approximate_variance_is_convokits(case: dict[str, Any]) -> None:
    first_K, second_K, prior_K = (np.array(case[name]) for name in ("first", "second", "prior"))

    ours = log_odds_ratio(first_K, second_K, prior_K, LogOddsVariance.APPROXIMATE)

    np.testing.assert_allclose(ours.z_K, case["convokit_z"], rtol=_FLOAT32, atol=_FLOAT32)


def test_the_two_references_differ_in_the_variance_alone() -> None:
    for case in _CASES:
        full_K, approximate_K = np.array(case["scattertext_z"]), np.array(case["convokit_z"])
        assert (np.abs(full_K) <= np.abs(approximate_K) + _FLOAT32).all()
        assert (np.sign(full_K) == np.sign(approximate_K))[np.abs(full_K) > _FLOAT32].all()
    assert any(
        np.abs(np.subtract(case["scattertext_z"], case["convokit_z"])).max() > 0.1
        for case in _CASES
    )


@pytest.mark.skipif(not installed("scattertext"), reason="scattertext is not installed")
def test_scattertext_itself_agrees() -> None:
    for seed in range(20):
        first_K, second_K, prior_K = counts(np.random.default_rng(seed), *CASES[seed % len(CASES)])

        ours = log_odds_ratio(first_K, second_K, prior_K, LogOddsVariance.FULL)

        theirs_K = scattertext_z(first_K, second_K, prior_K)
        np.testing.assert_allclose(ours.z_K, theirs_K, rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(not installed("convokit"), reason="convokit is not installed")
def test_convokit_itself_agrees() -> None:
    for seed in range(20):
        first_K, second_K, prior_K = counts(np.random.default_rng(seed), *CASES[seed % len(CASES)])

        ours = log_odds_ratio(first_K, second_K, prior_K, LogOddsVariance.APPROXIMATE)

        theirs_K = convokit_z(first_K, second_K, prior_K)
        np.testing.assert_allclose(ours.z_K, theirs_K, rtol=_FLOAT32, atol=_FLOAT32)
