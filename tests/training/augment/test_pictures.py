"""Pictures vary at random, repeatably, and stay what they are."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inkling_training.augment.pictures import DEFAULT, PicturePolicy, augmented, decode_whole

pytestmark = pytest.mark.training

_STILL = PicturePolicy(
    least_area=1.0,
    stretch=0.0,
    flip_share=0.0,
    grey_share=0.0,
    gain=0.0,
    tint=0.0,
    contrast=0.0,
    blur_share=0.0,
    low_resolution_share=0.0,
    noise_share=0.0,
    jpeg_share=0.0,
    caption_share=0.0,
    sticker_share=0.0,
)


def _picture(width: int = 90, height: int = 60) -> bytes:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    coarse = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, height)).save(buffer, "webp", lossless=True)
    return buffer.getvalue()


def test_augmentation_varies_by_seed_and_repeats_by_seed() -> None:
    first, second, again = (augmented(_picture(), 32, np.random.default_rng(s)) for s in (1, 2, 1))
    assert first.shape == (32, 32, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_a_policy_without_changes_only_resizes() -> None:
    pixels = augmented(_picture(64, 64), 64, np.random.default_rng(3), _STILL)
    assert np.array_equal(pixels, decode_whole(_picture(64, 64)))


@pytest.mark.parametrize(
    "change",
    [
        {"flip_share": 1.0},
        {"grey_share": 1.0},
        {"gain": 0.5},
        {"contrast": 0.5},
        {"blur_share": 1.0},
        {"low_resolution_share": 1.0},
        {"jpeg_share": 1.0},
        {"caption_share": 1.0},
        {"sticker_share": 1.0},
        {"least_area": 0.2},
    ],
)
def test_each_change_alone_changes_pixels(change: dict[str, float]) -> None:
    policy = replace(_STILL, **change)
    still = augmented(_picture(), 96, np.random.default_rng(5), _STILL)
    assert not np.array_equal(augmented(_picture(), 96, np.random.default_rng(5), policy), still)


def test_noise_is_as_strong_as_the_policy_allows_and_no_stronger() -> None:
    still = augmented(_picture(), 64, np.random.default_rng(0), _STILL).astype(float)
    policy = replace(_STILL, noise_share=1.0, noise=6.0)
    levels = [
        np.std(augmented(_picture(), 64, np.random.default_rng(seed), policy) - still)
        for seed in range(20)
    ]
    assert 0.4 < min(levels) < 2.5
    assert 3.5 < max(levels) < 6.5


def test_overlays_leave_most_of_the_picture_alone() -> None:
    still = augmented(_picture(), 128, np.random.default_rng(0), _STILL).astype(int)
    drawn = replace(_STILL, caption_share=1.0, sticker_share=1.0)
    for seed in range(30):
        pixels = augmented(_picture(), 128, np.random.default_rng(seed), drawn)
        changed = (np.abs(pixels - still).max(axis=2) > 8).mean()
        assert 0.0 < changed < 0.6


@pytest.mark.parametrize("side", [(1, 1), (3, 200), (400, 5)])
def test_odd_pictures_come_out_square(side: tuple[int, int]) -> None:
    for seed in range(5):
        pixels = augmented(_picture(*side), 48, np.random.default_rng(seed), DEFAULT)
        assert pixels.shape == (48, 48, 3)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not a picture"):
        augmented(b"nothing", 32, np.random.default_rng(0))
