"""What settings mean for one process: what a picture may be, and how much is done at a time."""

from inkling_server.images import ImageLimits
from inkling_server.settings import Settings
from inkling_server.tagging import TaggerLimits
from inkling_server.text_reading import TextReadingLimits


def image_limits(settings: Settings) -> ImageLimits:
    """What one picture may be."""
    return ImageLimits(
        max_bytes=settings.max_image_bytes,
        max_pixels=settings.max_image_pixels,
        max_side=settings.max_image_side,
    )


def text_limits(settings: Settings) -> TextReadingLimits:
    """How much text in pictures is read at a time."""
    return TextReadingLimits(
        workers=settings.text_workers,
        # Reading is the slowest stage: a quarter of the pictures may wait for it.
        capacity=max(settings.max_queue_count // 4, 1),
        timeout_s=settings.text_timeout_s,
    )


def tagger_limits(settings: Settings) -> TaggerLimits:
    """How much work is taken in."""
    return TaggerLimits(
        capacity=settings.max_queue_count,
        # A quarter stays free of bulk streams, for callers who wait for one answer.
        reserved_for_unary=settings.max_queue_count // 4,
        max_batch_size=settings.max_batch_count,
        max_batch_delay_s=settings.max_batch_delay_s,
        encoder_streams=settings.encoder_streams,
        decode_threads=settings.decode_threads,
        encode_timeout_s=settings.encoder_timeout_s,
        max_top_n=settings.max_top_n,
    )
