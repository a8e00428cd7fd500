"""Messages of TagVideo <-> domain values, one function each way.

Ranges are the VideoTagger's business, texts that of `converters`. Nothing here awaits or logs.
"""

from pathlib import Path

from inkling.v1 import tagging_pb2
from inkling_server.contact_sheet import SHEET_FORMATS
from inkling_server.errors import ArgumentOutOfRange
from inkling_server.rpc.converters import to_context, to_tag
from inkling_server.rpc.graph_converters import to_duration
from inkling_server.video_queries import FrameTags, VideoQuery, VideoTags
from inkling_server.video_scoring import VideoTag


def to_video_query(
    options: tagging_pb2.TagVideoOptions, path: Path, *, deadline: float | None
) -> VideoQuery:
    """What the VideoTagger is asked.

    Args:
        options: as the client sent them.
        path: of the file; it need not be there yet.
        deadline: as in VideoQuery.

    Raises:
        ArgumentOutOfRange: an unknown format of a contact sheet, or a text that is too long.
    """
    sheet = None
    if options.contact_sheet:
        sheet = next((form for form in SHEET_FORMATS if form == options.contact_sheet), None)
        if sheet is None:
            allowed = f"empty, or one of {', '.join(SHEET_FORMATS)}"
            raise ArgumentOutOfRange("contact_sheet", "an unknown format", allowed)
    return VideoQuery(
        path=path,
        top_n=options.top_n if options.HasField("top_n") else None,
        min_score=options.min_score if options.HasField("min_score") else None,
        graph_version=options.graph_version,
        explain=options.explain,
        deadline=deadline,
        context=to_context(options.context) if options.HasField("context") else None,
        read_text=options.context.read_text,
        transcribe=options.transcribe,
        max_frames=options.max_frame_count if options.HasField("max_frame_count") else None,
        include_frames=options.include_frames,
        sheet=sheet,
    )


def to_video_response(result: VideoTags) -> tagging_pb2.TagVideoResponse:
    """The answer to one video."""
    facts = result.facts
    return tagging_pb2.TagVideoResponse(
        tags=[_to_video_tag(tag) for tag in result.tags],
        frames=[_to_frame(frame) for frame in result.frames],
        facts=tagging_pb2.VideoFacts(
            duration=to_duration(facts.duration_s),
            width=facts.width,
            height=facts.height,
            video_codec=facts.video_codec,
            audio_codec=facts.audio_codec,
            frame_count=result.frame_count,
            decoded_frame_count=facts.decoded_frame_count,
        ),
        overlay_text=result.texts.overlay,
        transcript=result.texts.transcript,
        graph_version=result.graph_version,
        model_version=result.model_version,
        contact_sheet=result.contact_sheet,
    )


def _to_video_tag(tag: VideoTag) -> tagging_pb2.VideoTag:
    return tagging_pb2.VideoTag(
        tag=to_tag(tag.tag),
        intervals=[
            tagging_pb2.Interval(
                start=to_duration(interval.start_s), end=to_duration(interval.end_s)
            )
            for interval in tag.intervals
        ],
        best_time=None if tag.best_time_s is None else to_duration(tag.best_time_s),
        share=tag.share,
    )


def _to_frame(frame: FrameTags) -> tagging_pb2.VideoFrame:
    return tagging_pb2.VideoFrame(
        time=to_duration(frame.time_s),
        start=to_duration(frame.start_s),
        end=to_duration(frame.end_s),
        tags=[to_tag(tag) for tag in frame.tags],
        text=frame.text,
    )
