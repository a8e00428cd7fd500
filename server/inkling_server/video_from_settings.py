"""Opens the tagging of videos from the server's settings, and closes it.

This module does not know what videos are.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inkling_server.data_dir import DataDir
from inkling_server.serving_state import StateHolder
from inkling_server.settings import Settings
from inkling_server.tagging import Tagger
from inkling_server.video import VideoDecoder, VideoLimits, VideoSpool, video_is_available
from inkling_server.video_tagging import VideoTagger, VideoTaggerLimits
from inkling_server.video_texts import OverlayReader, Speech


@asynccontextmanager
async def open_videos(
    settings: Settings,
    data_dir: DataDir,
    tagger: Tagger,
    states: StateHolder,
    *,
    overlays: OverlayReader | None = None,
    speech: Speech | None = None,
) -> AsyncIterator[VideoTagger | None]:
    """A VideoTagger during the block; None where the packages for it are missing.

    Args:
        settings: the limits.
        data_dir: files lie below it while they are worked on.
        tagger: encodes frames.
        states: those of `tagger`.
        overlays: as in VideoTagger.
        speech: as in VideoTagger.
    """
    if not video_is_available():
        yield None
        return
    limits = video_limits(settings)
    # What a killed server left behind.
    await asyncio.to_thread(VideoSpool.clean, data_dir.videos)
    decoder = VideoDecoder(limits, workers=settings.video_workers)
    try:
        yield VideoTagger(
            tagger,
            states,
            decoder,
            open_spool=lambda: VideoSpool(data_dir.videos, limits),
            limits=VideoTaggerLimits(
                capacity=settings.max_video_count,
                # One more than are decoded: the next one is decoded while this one is encoded.
                max_working=settings.video_workers + 1,
                max_frames_in_flight=settings.max_batch_count,
                max_top_n=settings.max_top_n,
            ),
            video_limits=limits,
            overlays=overlays,
            speech=speech,
        )
    finally:
        await decoder.close()


def video_limits(settings: Settings) -> VideoLimits:
    """What one video may be."""
    return VideoLimits(
        max_bytes=settings.max_video_bytes,
        max_duration_s=settings.max_video_duration_s,
        max_pixels=settings.max_video_pixels,
        max_decode_s=settings.max_video_decode_s,
        max_frames=settings.max_video_frames,
    )
