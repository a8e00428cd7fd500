"""Video files -> chosen frames in the encoder's pixels, and the sound.

    chunks ─► spool ─► decoder ─► process ═► worker ─► reading ─► segments, frames
              (disk)   (pool)      (pipe)    └──── a process of its own ────┘

Callers need what is exported here. Only the worker process loads PyAV, which the extra `video`
brings; everything to the left of the double arrow runs without.
"""

from inkling_server.video.decoder import VideoDecoder, video_is_available
from inkling_server.video.records import (
    FULL_LONG_SIDE,
    SOUND_RATE_HZ,
    Frame,
    Sound,
    Video,
    VideoFacts,
    VideoLimits,
)
from inkling_server.video.spool import VideoSpool

__all__ = [
    "FULL_LONG_SIDE",
    "SOUND_RATE_HZ",
    "Frame",
    "Sound",
    "Video",
    "VideoDecoder",
    "VideoFacts",
    "VideoLimits",
    "VideoSpool",
    "video_is_available",
]
