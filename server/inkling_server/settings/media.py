"""What a request may ask: pictures, what is written in them, videos, speech."""

from pydantic import Field

from inkling_server.settings.group import MIB, SettingsGroup


class MediaSettings(SettingsGroup):
    """What a request may ask: pictures, what is written in them, videos, speech."""

    # What a request may ask
    max_image_bytes: int = Field(
        default=20 * MIB,
        ge=1_024,
        le=512 * MIB,
        description="Longest picture file. A longer one gets IMAGE_TOO_LARGE; a message above this "
        "plus 1 MiB is refused by gRPC itself with a bare RESOURCE_EXHAUSTED, which ends a stream. "
        "Memory held by waiting requests grows with it.",
    )
    max_image_pixels: int = Field(
        default=64_000_000,
        ge=1,
        description="Most pixels (width x height) of a picture, checked in its header. What stops "
        "decompression bombs: a decoder may hold 8 bytes a pixel, in each decoding thread.",
    )
    max_image_side: int = Field(
        default=16_384,
        ge=1,
        le=65_535,
        description="Longest width or height, checked in the header.",
    )
    max_top_n: int = Field(
        default=100,
        ge=1,
        le=100,
        description="Most tags that one request may ask for (the API's cap: 100).",
    )

    # Text in pictures
    text_workers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Processes that read what is written in pictures, for requests that ask for it "
        "(context.read_text), for each process that tags; each starts with its first picture, uses "
        "one core for 0.1 to 0.3 s a picture and keeps up to 0.8 GB. 0: none, and read_text is "
        "ignored. Needs the extra `ocr`.",
    )
    text_timeout_s: float = Field(
        default=20.0,
        gt=0,
        le=600,
        description="Longest that reading one picture may take; a longer one is tagged as if "
        "nothing were written in it. A page full of small print takes five seconds of one core.",
    )

    # Videos
    max_video_bytes: int = Field(
        default=200 * MIB,
        ge=1_024,
        le=64 * 1024 * MIB,
        description="Longest video file. A longer one gets VIDEO_TOO_LARGE as soon as that shows. "
        "Each video under way lies in DATA_DIR/video: the disk needs max_video_count times this.",
    )
    max_video_duration_s: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="Longest video. Frames are chosen within one budget, so that a longer video is "
        "looked at more coarsely; what is recognised of speech grows with it.",
    )
    max_video_pixels: int = Field(
        default=9_000_000,
        ge=1,
        description="Most pixels (width x height) of a frame. The default is a little over 4K; "
        "decoding time and the decoder's memory grow with it.",
    )
    max_video_frames: int = Field(
        default=64,
        ge=1,
        le=1_024,
        description="Most frames that are chosen of one video. Each costs as much as a picture; "
        "fewer miss short scenes.",
    )
    max_video_decode_s: float = Field(
        default=60.0,
        gt=0,
        le=3_600,
        description="Longest that decoding one video may take, before it gets VIDEO_TOO_LARGE: "
        "what stops files that are small and cost much.",
    )
    max_video_count: int = Field(
        default=8,
        ge=1,
        le=1_000,
        description="Videos of all clients between their first byte and their answer; beyond it "
        "TagVideo answers OVERLOADED. They wait for a decoder on disk.",
    )
    video_workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that decode videos, each one video at a time on every core. More: "
        "more videos at a time, each more slowly; each takes up to 600 MiB while it works.",
    )

    speech_recognizer: str = Field(
        default="off",
        description="What recognises speech in videos, for requests that ask for it: off, "
        "moonshine (English; extra `speech`), faster-whisper:DIR (a model in CTranslate2's "
        "format). A process of low priority, one video at a time.",
    )
