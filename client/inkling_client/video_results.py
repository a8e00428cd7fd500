"""What the client hands out about videos: plain frozen values, made from messages.

This module does not know connections, and nothing in it can fail.
"""

from dataclasses import dataclass, field

from google.protobuf import duration_pb2

from inkling.v1 import tagging_pb2
from inkling_client.results import Tag, tag_of


@dataclass(frozen=True, slots=True)
class Interval:
    """[start_s, end_s) of a video, in seconds from its start."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class VideoTag:
    """One interest that a video is about.

    Args:
        tag: its score is that of the video's best second, joined with what texts and speech say.
        intervals: when it shows, in order; () where only texts or speech name it.
        best_time_s: where it is plainest; None where it does not show.
        share: part of the video's duration in which it shows, in [0, 1].
    """

    tag: Tag
    intervals: tuple[Interval, ...]
    best_time_s: float | None
    share: float


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A chosen frame: it stands for the video from `start_s` to `end_s`.

    Args:
        time_s: when it shows.
        start_s: where its stretch begins.
        end_s: where its stretch ends.
        tags: as a picture of this frame alone would have got.
        text: what is written in it; "" unless the call asked for it.
    """

    time_s: float
    start_s: float
    end_s: float
    tags: tuple[Tag, ...]
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a file is; `audio_codec` is "" where there is no sound."""

    duration_s: float
    width: int
    height: int
    video_codec: str
    audio_codec: str
    frame_count: int
    decoded_frame_count: int


@dataclass(frozen=True, slots=True)
class VideoResult:
    """The tags of one video, descending by score, and the versions that produced them.

    Args:
        tags: of the whole video; () where nothing scores above the threshold.
        facts: what the file is.
        frames: the chosen ones; () unless the call asked for them.
        overlay_text: what was read off the frames, each text once.
        transcript: what is said.
        contact_sheet: an encoded picture of the frames; b"" unless the call asked for it.
        graph_version: of the interest graph.
        model_version: of the model.
    """

    tags: tuple[VideoTag, ...]
    facts: VideoFacts
    frames: tuple[VideoFrame, ...]
    overlay_text: str = field(repr=False)
    transcript: str = field(repr=False)
    contact_sheet: bytes = field(repr=False)
    graph_version: str
    model_version: str


def video_result(response: tagging_pb2.TagVideoResponse) -> VideoResult:
    """The plain value of a TagVideoResponse."""
    facts = response.facts
    return VideoResult(
        tags=tuple(_video_tag(one) for one in response.tags),
        facts=VideoFacts(
            duration_s=_seconds(facts.duration),
            width=facts.width,
            height=facts.height,
            video_codec=facts.video_codec,
            audio_codec=facts.audio_codec,
            frame_count=facts.frame_count,
            decoded_frame_count=facts.decoded_frame_count,
        ),
        frames=tuple(
            VideoFrame(
                _seconds(one.time),
                _seconds(one.start),
                _seconds(one.end),
                tuple(tag_of(tag) for tag in one.tags),
                one.text,
            )
            for one in response.frames
        ),
        overlay_text=response.overlay_text,
        transcript=response.transcript,
        contact_sheet=response.contact_sheet,
        graph_version=response.graph_version,
        model_version=response.model_version,
    )


def _video_tag(one: tagging_pb2.VideoTag) -> VideoTag:
    return VideoTag(
        tag=tag_of(one.tag),
        intervals=tuple(Interval(_seconds(i.start), _seconds(i.end)) for i in one.intervals),
        best_time_s=_seconds(one.best_time) if one.HasField("best_time") else None,
        share=one.share,
    )


def _seconds(duration: duration_pb2.Duration) -> float:
    return duration.ToNanoseconds() / 1e9
