"""What the client hands out: plain frozen values, made from the messages of `inkling.v1`.

This module does not know connections, and nothing in it can fail.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from inkling.v1 import common_pb2, info_pb2, tagging_pb2


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source other than the picture says for an interest.

    Args:
        source: "caption", "hashtag", "overlay", "title", "body", "transcript", "location",
            "comment", or "author": what the item's author posts about.
        weight: probability in (0, 1) that the source is right.
        mention_count: times that the source names the interest.
        text: the words that name it first, as they were sent; "" for "author".
    """

    source: str
    weight: float
    mention_count: int
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a score came about.

        picture score = 1 / (1 + exp(-calibrated_logit))
        score         = 1 - (1 - picture score) * product over evidence of (1 - weight)

    Without a picture the picture score is 0.

    Args:
        cosine: of picture and interest embedding, in [-1, 1].
        picture_logit: what the picture says.
        prior_logit: what the interest's frequency says; capped.
        tag_logit: what the calibration has learned about this one interest; 0: nothing.
        calibrated_logit: the sum of the three after the calibration's curve; None: the model's
            calibration has no curve, and the sum itself counts.
        evidence: what other sources say, the heaviest first.
    """

    cosine: float
    picture_logit: float
    prior_logit: float
    tag_logit: float = 0.0
    calibrated_logit: float | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Tag:
    """One interest that a picture is about.

    Args:
        interest_id: stable across refreshes of the interest graph.
        phrase: what a person reads.
        score: calibrated probability in [0, 1] that the interest is relevant. Not a cosine.
        explanation: only where the call asked for it.
    """

    interest_id: str
    phrase: str
    score: float
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class TagResult:
    """The tags of one picture, descending by score, and the versions that produced them.

    `tags` is empty where nothing scores above the threshold.
    """

    tags: tuple[Tag, ...]
    graph_version: str
    model_version: str


@dataclass(frozen=True, slots=True)
class Limits:
    """A request outside these is refused. Bytes: the encoded file; pixels: width times height.

    The limits of videos are 0 where the server tags none.
    """

    max_image_bytes: int
    max_image_pixels: int
    max_image_side: int
    max_top_n: int
    max_stream_in_flight: int
    max_queue_count: int
    max_video_bytes: int = 0
    max_video_duration_s: float = 0.0
    max_video_pixels: int = 0
    max_video_frames: int = 0


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request gets where it is silent.

    Args:
        top_n: how many tags at most.
        min_score: tags score strictly more.
        precision: share of relevant tags among those given on the model's validation split.
        coverage: share of that split's pictures that get any tag.
    """

    top_n: int
    min_score: float
    precision: float
    coverage: float


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What runs one encoder: name and version in Triton, the backend, the backend's own words."""

    name: str
    version: int
    backend: str
    runtime: str


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server is. `calibrated_time` is in UTC; None where the server does not say."""

    server_version: str
    model_version: str
    graph_version: str
    interest_count: int
    embedding_dimension: int
    limits: Limits
    defaults: Defaults
    encoders: tuple[EncoderInfo, ...]
    tag_index: str
    calibrated_time: datetime | None
    uses_context: bool
    reads_text: bool = False
    speech_recognizer: str = ""


def tag_result(response: tagging_pb2.TagResponse) -> TagResult:
    """The plain value of a TagResponse."""
    return TagResult(
        tags=tuple(tag_of(tag) for tag in response.tags),
        graph_version=response.graph_version,
        model_version=response.model_version,
    )


def tag_of(tag: common_pb2.Tag) -> Tag:
    """The plain value of a Tag."""
    explanation = None
    if tag.HasField("explanation"):
        why = tag.explanation
        explanation = Explanation(
            cosine=why.cosine,
            picture_logit=why.picture_logit,
            prior_logit=why.prior_logit,
            tag_logit=why.tag_logit,
            calibrated_logit=why.calibrated_logit if why.HasField("calibrated_logit") else None,
            evidence=tuple(
                Evidence(one.source, one.weight, one.mention_count, one.text)
                for one in why.evidence
            ),
        )
    return Tag(tag.interest_id, tag.phrase, tag.score, explanation)


def server_info(response: info_pb2.GetInfoResponse) -> ServerInfo:
    """The plain value of a GetInfoResponse."""
    limits, defaults = response.limits, response.defaults
    calibrated_time = None
    if response.HasField("calibrated_time"):
        calibrated_time = response.calibrated_time.ToDatetime(tzinfo=UTC)
    return ServerInfo(
        server_version=response.server_version,
        model_version=response.model_version,
        graph_version=response.graph_version,
        interest_count=response.interest_count,
        embedding_dimension=response.embedding_dimension,
        limits=Limits(
            max_image_bytes=limits.max_image_bytes,
            max_image_pixels=limits.max_image_pixels,
            max_image_side=limits.max_image_side,
            max_top_n=limits.max_top_n,
            max_stream_in_flight=limits.max_stream_in_flight,
            max_queue_count=limits.max_queue_count,
            max_video_bytes=limits.max_video_bytes,
            max_video_duration_s=limits.max_video_duration.ToNanoseconds() / 1e9,
            max_video_pixels=limits.max_video_pixels,
            max_video_frames=limits.max_video_frames,
        ),
        defaults=Defaults(
            top_n=defaults.top_n,
            min_score=defaults.min_score,
            precision=defaults.precision,
            coverage=defaults.coverage,
        ),
        encoders=tuple(
            EncoderInfo(encoder.name, encoder.version, encoder.backend, encoder.runtime)
            for encoder in response.encoders
        ),
        tag_index=response.tag_index,
        calibrated_time=calibrated_time,
        uses_context=response.uses_context,
        reads_text=response.reads_text,
        speech_recognizer=response.speech_recognizer,
    )
