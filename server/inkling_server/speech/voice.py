"""Where in a sound somebody speaks.

    samples ─► frames of 30 ms ─► loud? ─► WebRTC's detector ─► joined ─► voice-like? ─► stretches

Recognising costs a hundred times what this costs, and invents words where nobody speaks. WebRTC's
detector (Gaussian mixtures over six bands) takes some tones and noises for
voices, so what it finds must also swell and fade as syllables do: speech's level moves by 10 dB and
more within a second, that of noise, hum and held chords does not. It knows no words; song, gusts
and rhythmic music pass.

Shapes: N samples, F frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.speech.recognizer import RATE_HZ, check_samples

FRAME = RATE_HZ * 30 // 1_000  # samples
_FRAMES_PER_S = RATE_HZ / FRAME


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """What counts as speech. Judgements, looked at on other sounds than bench_speech reports, of
    the same kinds.

    Attributes:
        strictness: of WebRTC's detector, 0 to 3.
        least_level_db: of a frame, against full scale.
        least_spread_db: between the 10th and the 90th percentile of a stretch's levels.
        least_speech_s: shorter stretches are clicks.
        pause_s: speech goes on over shorter ones.
        pad_s: kept before and behind, for soft consonants.
        longest_s: stretches are cut there, at their softest frame.
    """

    strictness: int = 2
    least_level_db: float = -55.0
    least_spread_db: float = 9.0
    least_speech_s: float = 0.3
    pause_s: float = 0.45
    pad_s: float = 0.2
    longest_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples [start, end)."""

    start: int
    end: int


def find_speech(
    samples_N: NDArray[np.int16], rate_hz: int, settings: VoiceSettings | None = None
) -> tuple[Stretch, ...]:
    """Stretches of speech, in order; they do not overlap.

    Args:
        samples_N: one channel.
        rate_hz: `RATE_HZ`.
        settings: what counts as speech.

    Raises:
        ValueError: another rate, or no int16 of one channel.
    """
    check_samples(samples_N, rate_hz)
    chosen = settings or VoiceSettings()
    levels_F = _levels_db(samples_N)
    voiced_F = _voiced(samples_N, levels_F, chosen)
    pad = round(chosen.pad_s * _FRAMES_PER_S)
    found: list[Stretch] = []
    for start, end in _joined(voiced_F, round(chosen.pause_s * _FRAMES_PER_S)):
        if voiced_F[start:end].sum() < chosen.least_speech_s * _FRAMES_PER_S:
            continue
        low, high = np.percentile(levels_F[start:end], (10, 90))
        if high - low < chosen.least_spread_db:
            continue
        first, last = max(start - pad, 0), min(end + pad, len(levels_F))
        if found and first * FRAME < found[-1].end:
            first = found[-1].end // FRAME
        parts = _cut(levels_F, first, last, round(chosen.longest_s * _FRAMES_PER_S))
        found += [Stretch(begin * FRAME, finish * FRAME) for begin, finish in parts]
    return tuple(found)


def _levels_db(samples_N: NDArray[np.int16]) -> NDArray[np.float32]:
    count = len(samples_N) // FRAME
    frames_FS = samples_N[: count * FRAME].reshape(count, FRAME)
    # Frame by frame, so that ten minutes do not take 40 MB of floats.
    power_F = np.array(
        [np.mean(np.square(frame_S, dtype=np.float32)) for frame_S in frames_FS], np.float32
    )
    levels: NDArray[np.float32] = 10 * np.log10(power_F + 0.1) - np.float32(20 * np.log10(32_768))
    return levels


def _voiced(
    samples_N: NDArray[np.int16], levels_F: NDArray[np.float32], settings: VoiceSettings
) -> NDArray[np.bool_]:
    from webrtcvad import Vad  # of an extra

    detector = Vad(settings.strictness)
    voiced_F = levels_F >= settings.least_level_db
    for frame in np.flatnonzero(voiced_F):
        sound = samples_N[frame * FRAME : (frame + 1) * FRAME].tobytes()
        voiced_F[frame] = detector.is_speech(sound, RATE_HZ)
    return voiced_F


def _joined(voiced_F: NDArray[np.bool_], pause: int) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for frame in np.flatnonzero(voiced_F).tolist():
        if joined and frame - joined[-1][1] <= pause:
            joined[-1] = (joined[-1][0], frame + 1)
        else:
            joined.append((frame, frame + 1))
    return joined


def _cut(
    levels_F: NDArray[np.float32], start: int, end: int, longest: int
) -> list[tuple[int, int]]:
    """[start, end) in parts of at most `longest` frames, cut where it is softest."""
    parts = []
    while end - start > longest:
        middle = start + longest // 2
        cut = middle + int(np.argmin(levels_F[middle : start + longest]))
        parts.append((start, cut))
        start = cut
    return [*parts, (start, end)]
