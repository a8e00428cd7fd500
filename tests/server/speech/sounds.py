"""Sounds that tests of speech make or have.

`dog_in_the_lake.wav` was made with flite's voice "rms" (flite 2.2, a BSD-like licence):
flite -voice rms --setf duration_stretch=0.9 -o dog_in_the_lake.wav -t TEXT
`calculated_voice.wav` was made with espeak-ng 1.51 (GPL, which does not extend to what it says):
espeak-ng -v en-us -s 160 --stdout TEXT, at 16 kHz.
"""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
Samples = NDArray[np.int16]


def dog_in_the_lake() -> Samples:
    """A voice of recordings that says "my dog loves to swim in the lake every summer", 2.9 s."""
    return _read("dog_in_the_lake.wav")


def calculated_voice() -> Samples:
    """A voice made of formulas that says "my dog loves to swim in the lake every summer"."""
    return _read("calculated_voice.wav")


def _read(name: str) -> Samples:
    with wave.open(str(Path(__file__).parent / name)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def silence(duration_s: float) -> Samples:
    """Nothing at all."""
    return np.zeros(round(duration_s * RATE_HZ), np.int16)


def noise(duration_s: float, deviation: float) -> Samples:
    """White noise, the same every time."""
    count = round(duration_s * RATE_HZ)
    return (np.random.default_rng(7).standard_normal(count) * deviation).astype(np.int16)


def chord(duration_s: float) -> Samples:
    """Three held tones with overtones."""
    times_N = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    sound_N = np.zeros(len(times_N))
    for tone_hz in (262, 330, 392):
        for part in range(1, 5):
            sound_N += np.sin(2 * np.pi * tone_hz * part * times_N) / part
    chord_N: Samples = (sound_N / np.abs(sound_N).max() * 10_000).astype(np.int16)
    return chord_N
