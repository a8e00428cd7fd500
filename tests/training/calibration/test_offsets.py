"""Per-tag offsets: found where there is data, small where there is little, none without cause."""

from dataclasses import replace

import numpy as np
import pytest

from inkling_server.interests.graph import Edges
from inkling_server.model_manifest import MAX_TAG_OFFSET
from inkling_training.calibration import offsets, transfer
from inkling_training.calibration.fit_data import FitData, Float64
from tests.training.calibration.calibration_kit import CALIBRATION, fit_data

pytestmark = pytest.mark.training


def test_offsets_recover_a_known_bias_of_each_tag() -> None:
    true_V = np.random.default_rng(3).normal(0, 0.8, 50)
    data = fit_data(3000, offsets_V=true_V)
    found = offsets.fit(data, data.all_rows, CALIBRATION)
    assert 0.6 <= found.spread <= 1.0
    assert np.abs(found.offsets_V - true_V).max() < 0.35
    assert np.corrcoef(found.offsets_V, true_V)[0, 1] > 0.98


def test_offsets_shrink_with_little_data() -> None:
    true_V = np.full(50, 1.5)
    data = fit_data(3000, offsets_V=true_V)
    sizes = [
        np.abs(offsets.fit(data, data.all_rows[:count], CALIBRATION, spread=0.3).offsets_V).mean()
        for count in (1, 10, 100, 3000)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.1
    assert sizes[-1] == pytest.approx(1.5, abs=0.15)


def test_without_differences_there_are_hardly_any_offsets() -> None:
    data = fit_data(1000)
    found = offsets.fit(data, data.all_rows, CALIBRATION)
    assert found.spread == offsets.SPREADS[0]
    assert np.abs(found.offsets_V).max() < 0.1


def test_estimate_is_the_maximum_of_the_posterior() -> None:
    data = fit_data(300, 3, offsets_V=np.array([0.9, -0.5, 0.0]))
    found = offsets.fit(data, data.all_rows, CALIBRATION, spread=0.5)
    logits_BV = CALIBRATION.scale * data.cosines_BV.astype(np.float64) + CALIBRATION.bias
    grid = np.arange(-2, 2, 0.001)
    for tag in range(3):
        moved_BG = logits_BV[:, tag, None] + grid
        terms_BG: Float64 = data.right_BV[:, tag, None] * moved_BG - np.logaddexp(0, moved_BG)
        best = grid[(np.sum(terms_BG, axis=0) - grid**2 / (2 * 0.5**2)).argmax()]
        assert found.offsets_V[tag] == pytest.approx(best, abs=2e-3)


def test_offsets_are_bounded() -> None:
    data = fit_data(500, offsets_V=np.full(50, 9.0))
    found = offsets.fit(data, data.all_rows, CALIBRATION, spread=1.3)
    assert np.abs(found.offsets_V).max() == MAX_TAG_OFFSET
    assert set(found.by_id(data)) == set(data.interest_ids)


def test_interests_that_labels_cannot_name_have_no_offset() -> None:
    data = fit_data(1000, offsets_V=np.full(50, -1.0), labelled_V=np.arange(50) < 40)
    found = offsets.fit(data, data.all_rows, CALIBRATION, spread=0.5)
    assert (found.offsets_V[:40] < -0.3).all()
    assert not found.offsets_V[40:].any()
    assert "i045" not in found.by_id(data)


def test_tags_without_data_follow_their_neighbours_if_asked() -> None:
    # The last tag is as good as never seen; all its neighbours are too low by 1.5.
    ends_E2 = np.array([[row, 49] for row in range(10)], np.int32)
    ones_E = np.ones(10, np.float32)
    edges = Edges(ends_E2, ones_E, ones_E.copy(), ones_E.copy())
    data = fit_data(2000, offsets_V=np.where(np.arange(50) < 10, 1.5, 0.0), edges=edges)
    counted_BV = data.counted_BV.copy()
    counted_BV[:, 49] = False
    data = replace(data, counted_BV=counted_BV, right_BV=data.right_BV & counted_BV)
    alone = offsets.fit(data, data.all_rows, CALIBRATION, spread=0.5).offsets_V
    near = offsets.fit(data, data.all_rows, CALIBRATION, spread=0.5, neighbours=True).offsets_V
    assert alone[49] == pytest.approx(0, abs=1e-6)
    assert near[49] == pytest.approx(alone[:10].mean(), abs=1e-3)
    assert near[49] > 1


def parted(data: FitData, by_part_PV: Float64) -> FitData:
    """Each part draws its labels with its own offsets."""
    labels = [
        fit_data(len(data.keys), seed=9, offsets_V=offsets_V, parts=len(by_part_PV)).right_BV
        for offsets_V in by_part_PV
    ]
    right_BV = np.array([labels[row % len(by_part_PV)][row] for row in range(len(data.keys))])
    return replace(fit_data(len(data.keys), seed=9, parts=len(by_part_PV)), right_BV=right_BV)


def test_offsets_that_all_parts_share_hold_on_each_of_them() -> None:
    shared_V = np.random.default_rng(1).normal(0, 1.0, 50)
    found = transfer.between_parts(parted(fit_data(900), np.tile(shared_V, (4, 1))), CALIBRATION)
    assert found is not None
    assert found.spread >= 0.3
    assert found.gain > 3 * found.error
    assert all(gain > 0 for gain in found.gain_by_part.values())


def test_offsets_that_belong_to_one_part_each_are_given_up() -> None:
    own_PV = np.random.default_rng(2).normal(0, 1.0, (4, 50))
    data = parted(fit_data(900), own_PV)
    # Dealt at random they look useful; by part they are not.
    assert offsets.fit(data, data.all_rows, CALIBRATION).spread >= 0.2
    found = transfer.between_parts(data, CALIBRATION)
    assert found is not None
    assert found.spread <= 0.1


def test_two_parts_are_too_few_to_tell() -> None:
    assert transfer.between_parts(fit_data(parts=2), CALIBRATION) is None
    assert "not tested" in transfer.describe(None)
