"""The sound of a video as recognisers of speech want it: one channel, 16 kHz, int16.

Part of the decoding process. Damaged stretches are left out; sound that cannot be read at all is
no reason to refuse a video.
"""

from collections.abc import Callable
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from inkling_server.video.opening import Source
from inkling_server.video.records import SOUND_RATE_HZ, Sound
from inkling_server.video.surveying import Survey


def read_sound(
    source: Source, video: Survey, max_duration_s: float, check_time: Callable[[], None]
) -> Sound | None:
    """Decodes the sound, from the video's first frame on; None where nothing can be decoded.

    Args:
        source: just opened.
        video: whose first frame is time 0, and whose end ends the sound.
        max_duration_s: no more than this.
        check_time: raises when time is up.
    """
    most = int(min(video.duration_s, max_duration_s) * SOUND_RATE_HZ)
    pieces: list[NDArray[np.int16]] = []
    count, skip = 0, -1
    resampler = _resampler()
    for packet in source.container.demux(source.sound):
        check_time()
        try:
            frames: list[Any] = packet.decode()
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            continue
        for frame in frames:
            if skip < 0:  # the first one
                late_s = (frame.time or 0.0) - video.origin_s
                late_s = min(max(late_s, -max_duration_s), max_duration_s)
                skip = max(round(-late_s * SOUND_RATE_HZ), 0)
                silence = max(round(late_s * SOUND_RATE_HZ), 0)
                pieces.append(np.zeros(min(silence, most), np.int16))
                count = len(pieces[0])
            try:
                ready = resampler.resample(frame)
            except ValueError:  # rate or layout changed on the way
                resampler = _resampler()
                ready = resampler.resample(frame)
            for piece in ready:
                samples = piece.to_ndarray()[0]
                pieces.append(samples[skip:])
                skip = max(skip - len(samples), 0)
                count += len(pieces[-1])
        if count >= most:
            break
    if skip < 0:
        return None
    pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return Sound(np.concatenate(pieces)[:most].astype(np.int16, copy=False))


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="s16", layout="mono", rate=SOUND_RATE_HZ)
