"""What the speech benchmark counts, and the sounds that it makes."""

import numpy as np
import pytest

from benchmarks.bench_speech import noise, resampled, spoken_words, with_noise, word_errors
from benchmarks.speech_sentences import REPORTED, TUNING
from inkling_server.speech import RATE_HZ


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("a dog swims", 0),
        ("a god swims", 1),
        ("a swims", 1),
        ("a dog it swims", 1),
        ("", 3),
        ("dog", 2),
    ],
)
def test_word_errors_are_the_fewest_edits(heard: str, errors: int) -> None:
    assert word_errors(["a", "dog", "swims"], heard.split()) == errors


def test_stops_and_gaps_are_no_words() -> None:
    assert spoken_words("My dog … swims. it's") == ["my", "dog", "swims", "it's"]


def test_a_tone_keeps_its_pitch_and_length_at_another_rate() -> None:
    tone_N = (np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050) * 9_000).astype(np.int16)
    changed = resampled(tone_N, 22_050)

    assert len(changed) == RATE_HZ
    assert int(np.argmax(np.abs(np.fft.rfft(changed)))) == 440


def test_noise_is_as_loud_as_asked_for() -> None:
    spoken_N = np.full(RATE_HZ, 4_000, np.int16)
    noisy_N = with_noise(spoken_N, "white", 20.0, np.random.default_rng(0))
    added = noisy_N.astype(np.float64) - spoken_N

    assert 10 * np.log10(4_000**2 / np.mean(added**2)) == pytest.approx(20, abs=0.2)
    assert with_noise(spoken_N, "white", None, np.random.default_rng(0)) is spoken_N


@pytest.mark.parametrize("kind", ["white", "pink", "hum", "gusts", "music", "beats"])
def test_every_noise_has_power_one(kind: str) -> None:
    assert np.mean(noise(kind, 1.0, np.random.default_rng(0)) ** 2) == pytest.approx(1)


def test_what_is_reported_was_not_tuned_on() -> None:
    assert not set(TUNING) & set(REPORTED)
