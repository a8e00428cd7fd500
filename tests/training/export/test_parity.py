"""Figures of a parity report."""

import io

import numpy as np
import pytest
from PIL import Image

from inkling_server.model_manifest import PixelSpec
from inkling_training.export.parity import Agreement, Decoding, ParityReport, tags_kept
from inkling_training.export.samples import make_samples, read_pictures, synthetic_photos
from inkling_training.export.variants import FLOORS, Precision

pytestmark = pytest.mark.training


def report(precision: Precision, cosine: float, kept: float) -> ParityReport:
    agreement = Agreement("X", cosine, (1 + cosine) / 2, 1.0, 1.0, kept)
    decoding = Decoding(2.0, 0.5, 0.5, 0.1)
    return ParityReport(FLOORS[precision], 3, 4, False, 5, (agreement,), decoding)


def test_tags_kept_counts_the_shared_ones() -> None:
    wanted_BV = np.array([[0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4]], np.float32)
    found_BV = np.array([[0.9, 0.1, 0.7, 0.8], [0.1, 0.2, 0.3, 0.4]], np.float32)
    assert tags_kept(wanted_BV, wanted_BV, top_n=2) == 1.0
    assert tags_kept(wanted_BV, found_BV, top_n=2) == 0.75


def test_tags_that_the_model_itself_cannot_tell_apart_are_kept() -> None:
    wanted_BV = np.array([[0.9, 0.5, 0.5, 0.5]], np.float32)
    found_BV = np.array([[0.9, 0.4, 0.5, 0.6]], np.float32)
    assert tags_kept(wanted_BV, found_BV, top_n=2) == 1.0


@pytest.mark.parametrize(
    ("precision", "cosine", "kept", "said"),
    [
        ("fp32", 0.99995, 1.0, []),
        ("fp32", 0.99985, 1.0, ["X: least cosine 0.99985 < 0.9999"]),
        ("fp32", 1.0, 0.5, ["X: 0.500 of the top 5 tags kept < 0.98"]),
        ("bf16", 0.985, 0.95, []),
        ("bf16", 0.97, 0.95, ["X: mean cosine 0.98500 < 0.99"]),
        ("int8", float("nan"), 0.9, ["X: least cosine nan < -1.0", "X: mean cosine nan < 0.97"]),
    ],
)
def test_floor_depends_on_the_precision(
    precision: Precision, cosine: float, kept: float, said: list[str]
) -> None:
    assert report(precision, cosine, kept).problems() == said


def test_decoding_is_told_and_never_judged() -> None:
    assert report("fp32", 1.0, 1.0).problems() == []
    assert "0.5000 at least" in str(report("fp32", 1.0, 1.0))
    assert report("fp32", 1.0, 1.0).document()["decoding"]["grey_levels"] == 2.0


def test_synthetic_pictures_look_like_photos_to_a_spectrum() -> None:
    first, second = synthetic_photos(2)
    assert first == synthetic_photos(1)[0]
    assert first != second
    grey_HW = np.asarray(Image.open(io.BytesIO(first)).convert("L"), np.float64)
    power = np.abs(np.fft.rfft2(grey_HW)) ** 2
    # 1/f^2: eight times the frequency has about a sixty-fourth of the power.
    ratio = power[4:8, 4:8].mean() / power[32:64, 32:64].mean()
    assert 20 < ratio < 200


def test_samples_are_given_ones_first(tmp_path: object) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "PNG")
    samples = make_samples((file.getvalue(),), ("dog",))
    assert samples.given
    assert samples.phrases == ("dog",)
    assert samples.vocabulary > 1000
    pixels_BHWC = samples.pixels(PixelSpec(16, "squash"))
    assert pixels_BHWC.shape[1:] == (16, 16, 3)
    assert pixels_BHWC[0, 8, 8].tolist() == [255, 0, 0]


def test_phrases_come_evenly_from_the_graph() -> None:
    samples = make_samples(phrase_count=50)
    assert len(set(samples.phrases)) == 50


def test_broken_picture_of_a_folder_is_named(tmp_path: "pytest.TempPathFactory") -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no"):
        read_pictures(folder)
    (folder / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a\.jpg"):
        read_pictures(folder)
