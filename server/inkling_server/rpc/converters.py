"""Messages <-> domain values, one function each way, and the checks that only messages need.

Ranges of `top_n` and `min_score` are the Tagger's business; the lengths of a ContentContext's texts
are checked here, since behind this module longer ones are cut. Nothing here awaits or logs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from inkling.v1 import common_pb2, info_pb2, tagging_pb2
from inkling_server.encoders import EncoderDescription
from inkling_server.errors import ArgumentOutOfRange
from inkling_server.images import ImageLimits
from inkling_server.interests.content import ContentItem
from inkling_server.interests.mentions.reading import has_text
from inkling_server.rpc.graph_converters import to_duration
from inkling_server.serving_state import ServingState
from inkling_server.tagging import ScoredTag, TagQuery, TagResult
from inkling_server.video import VideoLimits

# How texts may be read; the first where a context does not say.
TEXT_SOURCES = ("user_generated", "short_video", "publisher")
_MAX_TEXT_LENGTH = {
    "caption": 4_000,
    "overlay_text": 4_000,
    "title": 1_000,
    "transcript": 100_000,
    "location": 200,
    "body": 100_000,
}
_MAX_LIST_LENGTH = 64
_MAX_ITEM_LENGTH = {"hashtags": 100, "comments": 1_000}


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """Everything that GetInfo tells.

    Attributes:
        server_version: of the gateway.
        state: what serves now.
        encoders: what runs them, as they last said themselves.
        image_limits: what a picture may be.
        max_top_n: most tags of one request.
        max_stream_in_flight: pictures of one stream.
        max_queue_count: pictures of all clients.
        video_limits: what a video may be; None: this server tags none.
        speech_recognizer: what recognises speech in videos; "": nothing does.
        reads_text: something here reads what is written in pictures.
    """

    server_version: str
    state: ServingState
    encoders: Sequence[EncoderDescription]
    image_limits: ImageLimits
    max_top_n: int
    max_stream_in_flight: int
    max_queue_count: int
    video_limits: VideoLimits | None = None
    speech_recognizer: str = ""
    reads_text: bool = False


def to_query(request: tagging_pb2.TagRequest, *, deadline: float | None, wait: bool) -> TagQuery:
    """What the Tagger is asked; arguments as in TagQuery.

    Raises:
        ArgumentOutOfRange: the context is over a documented limit.
    """
    return TagQuery(
        image=request.image,
        top_n=request.top_n if request.HasField("top_n") else None,
        min_score=request.min_score if request.HasField("min_score") else None,
        graph_version=request.graph_version,
        explain=request.explain,
        deadline=deadline,
        wait=wait,
        context=to_context(request.context) if request.HasField("context") else None,
        read_text=request.context.read_text,
    )


def to_context(context: common_pb2.ContentContext, *, field: str = "context") -> ContentItem | None:
    """The texts of an item; None where there are none.

    Args:
        context: as the client sent it.
        field: what errors call it.

    Raises:
        ArgumentOutOfRange: it is over a documented limit, or names an unknown source.
    """
    _check_context(context, field)
    item = ContentItem(
        # The texts of one request: no store ever sees them under this id.
        id="-",
        source=context.source or TEXT_SOURCES[0],
        caption=context.caption,
        hashtags=tuple(context.hashtags),
        overlay_text=context.overlay_text,
        comments=tuple(context.comments),
        title=context.title,
        body=context.body,
        transcript=context.transcript,
        location=context.location,
    )
    return item if has_text(item) else None


def to_response(result: TagResult) -> tagging_pb2.TagResponse:
    """The answer to one picture."""
    return tagging_pb2.TagResponse(
        tags=[to_tag(tag) for tag in result.tags],
        graph_version=result.graph_version,
        model_version=result.model_version,
    )


def to_info(description: ServerDescription) -> info_pb2.GetInfoResponse:
    """The answer to GetInfo."""
    state = description.state
    recommended = state.calibration.recommended
    response = info_pb2.GetInfoResponse(
        server_version=description.server_version,
        model_version=state.model_version,
        graph_version=state.graph_version,
        interest_count=len(state.graph.interests),
        embedding_dimension=state.manifest.dimension,
        limits=info_pb2.Limits(
            max_image_bytes=description.image_limits.max_bytes,
            max_image_pixels=description.image_limits.max_pixels,
            max_image_side=description.image_limits.max_side,
            max_top_n=description.max_top_n,
            max_stream_in_flight=description.max_stream_in_flight,
            max_queue_count=description.max_queue_count,
        ),
        defaults=info_pb2.Defaults(
            top_n=recommended.top_n,
            min_score=recommended.min_score,
            precision=recommended.precision,
            coverage=recommended.coverage,
        ),
        encoders=[
            info_pb2.EncoderInfo(
                name=encoder.name,
                version=encoder.version,
                backend=encoder.backend,
                runtime=encoder.runtime,
            )
            for encoder in description.encoders
        ],
        tag_index=state.index.description,
        uses_context=state.reader is not None,
        speech_recognizer=description.speech_recognizer,
        reads_text=description.reads_text and state.reader is not None,
    )
    response.calibrated_time.FromDatetime(state.calibration.calibrated_time)
    videos = description.video_limits
    if videos is not None:
        limits = response.limits
        limits.max_video_bytes = videos.max_bytes
        limits.max_video_duration.CopyFrom(to_duration(videos.max_duration_s))
        limits.max_video_pixels = videos.max_pixels
        limits.max_video_frames = videos.max_frames
    return response


def to_tag(tag: ScoredTag) -> common_pb2.Tag:
    """One tag, with its explanation where it has one."""
    message = common_pb2.Tag(interest_id=tag.interest_id, phrase=tag.phrase, score=tag.score)
    if tag.explanation is not None:
        why = tag.explanation
        message.explanation.CopyFrom(
            common_pb2.Explanation(
                cosine=why.cosine,
                picture_logit=why.picture_logit,
                prior_logit=why.prior_logit,
                tag_logit=why.tag_logit,
                calibrated_logit=why.calibrated_logit,
                evidence=[
                    common_pb2.Evidence(
                        source=one.source,
                        weight=one.weight,
                        mention_count=one.mention_count,
                        text=one.text,
                    )
                    for one in why.evidence
                ],
            )
        )
    return message


def _check_context(context: common_pb2.ContentContext, field: str) -> None:
    for name, limit in _MAX_TEXT_LENGTH.items():
        if len(getattr(context, name)) > limit:
            raise ArgumentOutOfRange(f"{field}.{name}", "too long", f"at most {limit:,} characters")
    for name, limit in _MAX_ITEM_LENGTH.items():
        items = getattr(context, name)
        if len(items) > _MAX_LIST_LENGTH:
            raise ArgumentOutOfRange(f"{field}.{name}", "too many", f"at most {_MAX_LIST_LENGTH}")
        if any(len(item) > limit for item in items):
            raise ArgumentOutOfRange(
                f"{field}.{name}", "one is too long", f"at most {limit:,} characters each"
            )
    if context.source and context.source not in TEXT_SOURCES:
        raise ArgumentOutOfRange(
            f"{field}.source", "unknown", f"empty, or one of {', '.join(TEXT_SOURCES)}"
        )
