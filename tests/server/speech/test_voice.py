"""Where somebody speaks, and above all where nobody does."""

import itertools

import numpy as np
import pytest

from inkling_server.speech.voice import Stretch, VoiceSettings, find_speech
from tests.server.speech.sounds import RATE_HZ, Samples, chord, dog_in_the_lake, noise, silence

pytest.importorskip("webrtcvad")


def test_speech_between_silences_is_found_where_it_is() -> None:
    spoken = dog_in_the_lake()
    (stretch,) = find_speech(np.concatenate([silence(2), spoken, silence(2)]), RATE_HZ)

    assert stretch.start == pytest.approx(2 * RATE_HZ, abs=0.4 * RATE_HZ)
    assert stretch.end == pytest.approx(2 * RATE_HZ + len(spoken), abs=0.4 * RATE_HZ)


@pytest.mark.parametrize(
    "sound",
    [silence(0), silence(5), noise(5, 30), noise(5, 3_000), chord(5), silence(0.01)],
    ids=["empty", "silence", "hiss", "loud noise", "chord", "shorter than a frame"],
)
def test_where_nobody_speaks_nothing_is_found(sound: Samples) -> None:
    assert find_speech(sound, RATE_HZ) == ()


def test_a_click_is_no_speech() -> None:
    sound = silence(3)
    sound[20_000:20_400] = noise(0.025, 9_000)

    assert find_speech(sound, RATE_HZ) == ()


def test_a_long_pause_parts_speech_and_a_short_one_does_not() -> None:
    spoken = dog_in_the_lake()
    short = np.concatenate([spoken, silence(0.1), spoken])
    long = np.concatenate([spoken, silence(2), spoken])

    assert len(find_speech(short, RATE_HZ)) == 1
    assert len(find_speech(long, RATE_HZ)) == 2


def test_long_speech_is_cut_without_losing_any() -> None:
    sound = np.concatenate([dog_in_the_lake()] * 6)
    whole = find_speech(sound, RATE_HZ, VoiceSettings(longest_s=60))
    parts = find_speech(sound, RATE_HZ, VoiceSettings(longest_s=4))

    assert len(whole) == 1
    assert max(part.end - part.start for part in parts) <= 4 * RATE_HZ
    assert Stretch(parts[0].start, parts[-1].end) == whole[0]
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))


def test_stretches_never_overlap() -> None:
    spoken = dog_in_the_lake()
    sound = np.concatenate([spoken, silence(0.6), spoken, silence(0.6), spoken])
    found = find_speech(sound, RATE_HZ, VoiceSettings(pause_s=0.3, pad_s=1.0))

    assert len(found) > 1
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


def test_another_rate_or_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="16000"):
        find_speech(silence(1), 44_100)
    with pytest.raises(ValueError, match="int16"):
        find_speech(silence(1).astype(np.float32), RATE_HZ)
    with pytest.raises(ValueError, match="one channel"):
        find_speech(silence(1).reshape(-1, 2), RATE_HZ)
