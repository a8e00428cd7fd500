"""What the VideoTagger is asked, and what it answers.

Pure values; their ranges are checked by the VideoTagger.
"""

from dataclasses import dataclass, field
from pathlib import Path

from inkling_server.answers import ScoredTag
from inkling_server.contact_sheet import SheetFormat
from inkling_server.interests.content import ContentItem
from inkling_server.video import VideoFacts
from inkling_server.video_scoring import VideoTag
from inkling_server.video_texts import VideoTexts


@dataclass(frozen=True, slots=True)
class VideoQuery:
    """One video to tag.

    Attributes:
        path: the file, complete.
        top_n, min_score, graph_version, explain, deadline: as in `TagQuery`, for the whole video.
        context: texts about it; None: nothing is known about it.
        read_text: read overlays off the frames.
        transcribe: recognise speech.
        max_frames: 1 to the server's limit; None: that limit.
        include_frames: fill in `VideoTags.frames`.
        sheet: fill in `VideoTags.contact_sheet` in this format.
    """

    path: Path
    top_n: int | None = None
    min_score: float | None = None
    graph_version: str = ""
    explain: bool = False
    deadline: float | None = None
    context: ContentItem | None = None
    read_text: bool = False
    transcribe: bool = False
    max_frames: int | None = None
    include_frames: bool = False
    sheet: SheetFormat | None = None


@dataclass(frozen=True, slots=True)
class FrameTags:
    """One chosen frame: it stands for the video from `start_s` to `end_s`."""

    time_s: float
    start_s: float
    end_s: float
    tags: tuple[ScoredTag, ...]
    text: str


@dataclass(frozen=True, slots=True)
class VideoTags:
    """What a video is about; `tags` descend by score, ties by interest_id.

    Attributes:
        tags: of the whole video.
        frames: the chosen ones, in order; () unless asked for.
        frame_count: of the chosen ones.
        facts: what the file is.
        texts: what was read and heard.
        contact_sheet: an encoded picture; b"" unless asked for.
        graph_version, model_version: that produced all of it.
    """

    tags: tuple[VideoTag, ...]
    frames: tuple[FrameTags, ...]
    frame_count: int
    facts: VideoFacts
    texts: VideoTexts
    contact_sheet: bytes = field(repr=False)
    graph_version: str
    model_version: str
