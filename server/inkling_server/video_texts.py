"""What is written in a video and said in it, joined with what is known about it.

    frames that stand longest ─► overlay reader ─┐
    sound ─────────────────────► recogniser ─────┴─► VideoTexts ─► with_texts ─► a content item

A frame that cannot be read, or sound that cannot be recognised, costs its text and nothing else: a
video's tags do not depend on it. This module knows neither how texts are read nor what tags are.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inkling_server.errors import InklingError
from inkling_server.interests.content import ContentItem
from inkling_server.text_reading import joined_overlay
from inkling_server.text_reading.lines import MAX_CHARACTERS
from inkling_server.video import Frame, Sound, Video

_log = logging.getLogger(__name__)
# Reading a frame takes a good part of a second, and an overlay stays for a scene.
MAX_READ_FRAMES = 24
_READ_AT_A_TIME = 2
MAX_TRANSCRIPT_CHARACTERS = 100_000


class WrittenText(Protocol):
    """What is written in one picture; blocks are parted by newlines."""

    @property
    def text(self) -> str: ...


class OverlayReader(Protocol):
    """Reads the text in an encoded picture."""

    async def read(self, image: bytes, *, deadline: float | None = None) -> WrittenText: ...


class Utterance(Protocol):
    """A stretch of speech as it was recognised; `confidence` is in [0, 1]."""

    @property
    def text(self) -> str: ...
    @property
    def confidence(self) -> float: ...


class Speech(Protocol):
    """Recognises what is said in int16 samples of one channel."""

    async def transcribe(
        self, samples_N: NDArray[np.int16], rate_hz: int, *, deadline: float | None = None
    ) -> Sequence[Utterance]: ...


@dataclass(frozen=True, slots=True)
class VideoTexts:
    """What was read and heard. Somebody's words: not for logs and tracebacks.

    Attributes:
        overlay: what is written, each text once, in the order of the frames.
        transcript: what is said.
        confidence: of the recogniser in the transcript, in [0, 1], the mean over its characters.
        frames: what is written in each frame; () where nobody asked.
    """

    overlay: str = field(default="", repr=False)
    transcript: str = field(default="", repr=False)
    confidence: float = 0.0
    frames: tuple[str, ...] = field(default=(), repr=False)


NO_TEXTS = VideoTexts()


async def read_texts(
    video: Video,
    *,
    overlays: OverlayReader | None,
    speech: Speech | None,
    deadline: float | None = None,
) -> VideoTexts:
    """Reads and listens, both at a time.

    Args:
        video: its frames have `full` where overlays are to be read, its sound is there where
            speech is to be recognised.
        overlays: None: not wanted, or not to be had.
        speech: the same.
        deadline: on the loop's clock.
    """
    frames, heard = await asyncio.gather(
        _read_frames(video.frames, overlays, deadline), _hear(video.sound, speech, deadline)
    )
    overlay = ""
    for text in frames:
        overlay = joined_overlay(overlay, text)
    # A line each: a name does not reach from one sentence into the next.
    transcript = "\n".join(one.text.strip() for one in heard)[:MAX_TRANSCRIPT_CHARACTERS]
    length = sum(len(one.text) for one in heard)
    confidence = sum(len(one.text) * one.confidence for one in heard) / max(length, 1)
    return VideoTexts(overlay[:MAX_CHARACTERS], transcript, confidence, frames)


def with_texts(context: ContentItem | None, texts: VideoTexts) -> ContentItem | None:
    """An item that says what its author says and what was read and heard; None: nothing does."""
    if context is None and not texts.overlay and not texts.transcript:
        return None
    item = context or ContentItem(id="-")
    return replace(
        item,
        overlay_text=joined_overlay(item.overlay_text, texts.overlay),
        # Beside the client's own transcript, which is a better witness.
        speech=texts.transcript,
        speech_confidence=texts.confidence,
    )


async def _read_frames(
    frames: Sequence[Frame], overlays: OverlayReader | None, deadline: float | None
) -> tuple[str, ...]:
    if overlays is None:
        return ()
    longest = sorted(range(len(frames)), key=lambda f: frames[f].start_s - frames[f].end_s)
    room = asyncio.Semaphore(_READ_AT_A_TIME)
    texts = [""] * len(frames)

    async def read(place: int) -> None:
        image = frames[place].full
        if image is None:
            return
        async with room:
            try:
                texts[place] = (await overlays.read(image, deadline=deadline)).text
            except InklingError as error:
                _log.warning("a frame could not be read: %s", error.reason)

    await asyncio.gather(*(read(place) for place in longest[:MAX_READ_FRAMES]))
    return tuple(texts)


async def _hear(
    sound: Sound | None, speech: Speech | None, deadline: float | None
) -> Sequence[Utterance]:
    if sound is None or speech is None:
        return ()
    try:
        return await speech.transcribe(sound.samples_N, sound.rate_hz, deadline=deadline)
    except InklingError as error:
        _log.warning("speech could not be recognised: %s", error.reason)
        return ()
