"""Every setting of the server: the only module that reads the environment.

A setting `grpc_port` is the flag `--grpc-port` and the environment variable `INKLING_GRPC_PORT`;
a flag beats a variable, a variable beats the default. They are read once, at the start, into one
frozen `Settings`; each description says what the limit costs or prevents. Nothing here opens a
port, starts a process or loads a model.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from platformdirs import user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, CliApp, NoDecode, SettingsConfigDict

from inkling_server.interests.embedders.spec import check_spec
from inkling_server.speech.recognizer import speech_problem

_PREFIX = "INKLING_"
_MIB = 1024 * 1024
# Where a checkout (or an editable install of one) keeps it; an installed wheel has no such folder.
_CHECKOUT_MODEL_REPOSITORY = Path(__file__).resolve().parents[2] / "model_repository"

Port = Annotated[int, Field(ge=0, le=65_535)]
Language = Annotated[str, Field(pattern="^[a-z]{2,3}$")]


def _cpus_of_a_process(settings: dict[str, Any]) -> int:
    return max(1, len(os.sched_getaffinity(0)) // int(settings.get("processes", 1)))


class Settings(BaseModel):
    """The server's settings: plain, validated, immutable. Building one reads no environment."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), validate_default=True
    )

    # Where it listens
    host: str = Field(
        default="127.0.0.1",
        description="Address that both ports bind. The default is loopback because the server asks "
        "nobody for credentials: whoever reaches it may use it. Containers set 0.0.0.0 and leave "
        "the guarding to the network around them.",
    )
    grpc_port: Port = Field(
        default=50_051,
        description="Port of the gRPC services. 0 takes a free one: it is logged and written to "
        "DATA_DIR/server.json.",
    )
    http_port: Port = Field(
        default=8_080,
        description="Port of /metrics, /healthz, /readyz and the status page. 0 as above.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="PEM certificate chain of the gRPC port. Together with tls_key; without them "
        "pictures travel in clear text.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM private key that belongs to tls_cert."
    )

    # What it works with
    data_dir: Path = Field(
        default=user_data_path("inkling"),
        description="Folder of the graph, the caches and Triton's logs. One server at a time may "
        "use it; two servers need two folders.",
    )
    model_repository: Path = Field(
        default=_CHECKOUT_MODEL_REPOSITORY,
        description="Model repository as Triton reads it. Also read by the gateway (manifest, "
        "calibration, tokenizer) when Triton is remote.",
    )
    model_version: int | None = Field(
        default=None,
        ge=1,
        description="Version folder of the pairwise model to serve; deploying is then refused. "
        "Unset: the version that was deployed last, and before the first rollout the greatest one.",
    )
    triton_url: str | None = Field(
        default=None,
        description="host:port of a running Triton's gRPC service. Unset: the server starts, "
        "watches and stops its own on loopback.",
    )
    triton_unload: bool = Field(
        default=False,
        description="With triton_url: whether a rollout unloads the version that it replaces. Only "
        "where this server is that Triton's only user: others may serve that version yet. In "
        "a Triton of its own it is always unloaded.",
    )
    encoder_timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Longest that one batch may take in the encoder. A longer one fails its "
        "pictures with ENCODER_DOWN. Too short: a busy encoder looks dead.",
    )
    start_timeout_s: float = Field(
        default=120.0,
        gt=0,
        le=3_600,
        description="Longest that the encoders may take to answer at the start, before the server "
        "gives up and exits with 1.",
    )

    # How the graph is refreshed
    graph_dir: Path | None = Field(
        default=None,
        description="Folder of graph versions. Unset: DATA_DIR/graph. Gateways that share one (on "
        "a shared disk) refresh one at a time, and each serves what any of them publishes.",
    )
    content_dir: Path | None = Field(
        default=None,
        description="Folder of the content feed: JSON lines that are appended to, read by "
        "refreshes. Unset: DATA_DIR/content, and as long as that is not there, the small demo feed "
        "that ships with the server.",
    )
    refresh_period_s: float = Field(
        default=0.0,
        ge=0,
        le=30 * 86_400,
        description="Pause between two refreshes that nobody asked for. 0: only when asked.",
    )
    graph_poll_s: float = Field(
        default=5.0,
        gt=0,
        le=3_600,
        description="Pause between two looks at what other gateways of graph_dir have published.",
    )
    graph_keep_count: int = Field(
        default=5,
        ge=1,
        le=1_000,
        description="Graph versions that stay on disk, for reading and for rolling back.",
    )
    refresh_nice: int = Field(
        default=19,
        ge=0,
        le=19,
        description="Niceness of the refresh process. By default it takes only what is left over: "
        "where the cores are busy for hours, a refresh takes hours, too. Smaller: refreshes end "
        "sooner, and pictures wait longer meanwhile.",
    )
    languages: Annotated[tuple[Language, ...], NoDecode] = Field(
        default=("en",),
        min_length=1,
        description="ISO 639-1 codes, parted by commas; content in other languages is set aside. "
        "Words are normalised by the rules of English in any case.",
    )
    min_interest_documents: int = Field(
        default=5,
        ge=1,
        description="Documents that must name a phrase before it becomes an interest. Smaller: "
        "more noise, and what only a few people said becomes visible to all.",
    )
    max_interest_count: int = Field(
        default=20_000,
        ge=1,
        le=1_000_000,
        description="Interests that the graph may have; the weakest leave. Search, memory and the "
        "time of a refresh grow with it.",
    )
    exact_search_up_to: int = Field(
        default=30_000,
        ge=0,
        description="With more interests, tags are found by compressed vectors: many times faster, "
        "and at least 99 in 100 of the ten best are found; scores stay exact. Models without "
        "typical pictures (clusters.safetensors), and GPUs, search exactly in any case. Greater: "
        "exact for longer, and slower.",
    )
    interest_half_life_days: int = Field(
        default=90,
        ge=1,
        description="Days with content after which an interest that nobody names counts half.",
    )
    interest_retire_days: int = Field(
        default=180,
        ge=1,
        description="Days with content after which an interest that nobody names leaves the graph.",
    )
    trend_days: int = Field(
        default=7,
        ge=1,
        le=14,
        description="Length of the recent window in which an interest may trend; it is held "
        "against the eight weeks before.",
    )
    embedder: str = Field(
        default="text_encoder",
        description="What semantic edges are measured with: text_encoder (the serving one), "
        "word2vec or fasttext (trained on the content), vectors:PATH (a word2vec or GloVe file), "
        "sentence-transformers:DIR. Tags always use the serving text encoder.",
    )

    # Content and people
    database_url: str | None = Field(
        default=None,
        description="postgresql://... of a PostgreSQL 14 or newer with pgvector 0.7 or newer. "
        "Unset: the server runs one of its own in DATA_DIR/postgres. off: none; content and "
        "profiles then answer STORAGE_DOWN, and tagging is as ever.",
    )
    database_pool_count: int = Field(
        default=8,
        ge=2,
        le=100,
        description="Connections to the database. More than it has cores helps little.",
    )
    retention_days: int = Field(
        default=0,
        ge=0,
        description="Engagements older than this are deleted, and people of whom nothing is left. "
        "0: kept until they are deleted by whom they concern.",
    )
    profile_half_life_days: float = Field(
        default=90.0,
        gt=0,
        le=36_500,
        description="Days after which an engagement counts half in an interest profile.",
    )
    profile_prior_scale: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="Pictures that the prior of CompareProfiles is worth. Unset: one for each "
        "cluster, which tells most people apart (docs/people.md). Much less drowns differences in "
        "variance, much more makes everybody alike.",
    )
    cluster_count: int = Field(
        default=200,
        ge=2,
        le=10_000,
        description="Visual clusters that are fitted to what is stored; fewer where that is "
        "little.",
    )
    cluster_beta: float | None = Field(
        default=None,
        gt=0,
        description="Sharpness of the soft assignment, for clusters that are fitted from now on. "
        "Unset: from the margin, see docs/people.md. Greater: a picture belongs to fewer clusters.",
    )
    people_refresh_s: float = Field(
        default=3_600.0,
        ge=0,
        le=30 * 86_400,
        description="Pause between two updates of popularity, co-engagement and retention that "
        "nobody asked for. 0: only when asked, and engagements do not expire by themselves.",
    )

    # How a new model version is rolled out
    canary_dir: Path | None = Field(
        default=None,
        description="Folder of pictures that are typical for this platform (at most 200 are read). "
        "A new model version is compared with the old one on them before it serves.",
    )
    canary_sample_count: int = Field(
        default=32,
        ge=0,
        le=1_000,
        description="Pictures of recent requests that are kept for the same purpose: in memory "
        "only (at most 16 MiB), never written or logged. 0: none.",
    )
    rollout_min_overlap: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Least mean overlap (Jaccard) between the tags of the new model and those of "
        "the old one. Models may differ a lot and both be right; a broken one has hardly any.",
    )
    rollout_max_latency_ratio: float = Field(
        default=3.0,
        gt=0,
        le=1_000,
        description="Most that the new model's encoding time (p50, one picture) may be of the old "
        "one's.",
    )
    rollout_max_lost_coverage: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Most that the share of pictures with at least one tag may fall by.",
    )
    rollout_pause_ratio: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="While the new model embeds the graph, pause after each batch for so many "
        "times what it took. 0: fastest, and pictures wait longer meanwhile.",
    )

    # What a request may ask
    max_image_bytes: int = Field(
        default=20 * _MIB,
        ge=1_024,
        le=512 * _MIB,
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
        default=200 * _MIB,
        ge=1_024,
        le=64 * 1024 * _MIB,
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

    # How much it does at a time
    processes: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Processes that tag, all on grpc_port: one Python process does about 2,000 "
        "pictures a second, whatever the machine. The kernel hands each new connection to one of "
        "them, so clients need several connections. Each takes memory of its own, and what is "
        "limited below is limited in each.",
    )
    max_queue_count: int = Field(
        default=128,
        ge=1,
        le=100_000,
        description="Pictures of all clients that may wait or be worked on at a time, in each "
        "process. Beyond it Tag answers OVERLOADED and TagStream stops reading. Greater: more "
        "memory and longer waits under load, not more throughput.",
    )
    max_stream_in_flight: int = Field(
        default=96,
        ge=1,
        le=10_000,
        description="Pictures of one TagStream that are worked on at a time. Smaller than three "
        "batches (one computes, one waits, one is decoded): a single client cannot keep the "
        "encoder busy.",
    )
    max_batch_count: int = Field(
        default=32,
        ge=1,
        le=1_024,
        description="Most pictures of one encoder batch; at most the model's own maximum. Greater: "
        "more throughput on a GPU, longer latency on a CPU.",
    )
    max_batch_delay_s: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Longest that a picture may wait for company while the encoder is busy; an "
        "idle encoder gets it at once. Usually it is half a recent batch's time; this is the cap.",
    )
    decode_threads: int = Field(
        default_factory=_cpus_of_a_process,
        ge=1,
        le=256,
        description="Threads that decode pictures, in each process. Default: each process's part "
        "of the CPUs that the server may use, at least 1.",
    )
    max_connection_streams: int = Field(
        default=1_024,
        ge=1,
        le=100_000,
        description="RPCs of one connection at a time; beyond it HTTP/2 makes the client wait. "
        "Keep it above max_queue_count, or one client waits where OVERLOADED should tell it.",
    )

    # How it lives and ends
    canary_period_s: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="Pause between two canary pictures, each tagged through decode, Triton and "
        "index. Shorter: trouble shows sooner, at one picture's work a time.",
    )
    canary_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="A canary slower than this counts as failed, unless other pictures were "
        "answered meanwhile (a busy server is not a dead one).",
    )
    drain_s: float = Field(
        default=20.0,
        ge=0,
        le=600,
        description="After SIGTERM or SIGINT, how long requests under way may take to finish "
        "before they are cut off. Keep it below the orchestrator's own limit (Kubernetes: 30 s).",
    )

    # What it tells
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="text: key=value lines for people; json: one object a line."
    )

    @field_validator("languages", mode="before")
    @classmethod
    def _parted_by_commas(cls, value: object) -> object:
        return [word.strip() for word in value.split(",")] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key: give both or neither")
        if not (self.model_repository / "vision_encoder").is_dir():
            raise ValueError(
                "model_repository: needs a folder that holds vision_encoder/ (there is a default "
                "only where the server runs from a checkout)"
            )
        check_spec(self.embedder)
        if problem := speech_problem(self.speech_recognizer):
            raise ValueError(f"speech_recognizer: {problem}")
        if self.grpc_port == self.http_port != 0:
            raise ValueError("grpc_port and http_port: must differ")
        return self


class _Outside(BaseSettings, Settings):
    """Inkling's server. Every flag is also a variable: --grpc-port is INKLING_GRPC_PORT."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        # An exported but empty variable means "not set".
        env_ignore_empty=True,
        frozen=True,
        cli_prog_name="inkling-server",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        # Kubernetes, CI and this server's own clients put other INKLING_ variables beside ours.
        extra="ignore",
        protected_namespaces=(),
    )


def load_settings(arguments: Sequence[str]) -> Settings:
    """Reads flags, then the environment, then the defaults.

    Args:
        arguments: the command line without the program's name.

    Raises:
        pydantic.ValidationError: a value is wrong; the text names setting and problem.
        SystemExit: after --help, or an unknown flag.
    """
    outside = CliApp.run(_Outside, cli_args=list(arguments))
    return Settings.model_validate(outside.model_dump())


def describe_problems(error: ValidationError) -> str:
    """What is wrong, a line for each setting. Values are left out: some settings are secrets."""
    lines = []
    for problem in error.errors(include_input=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        where = f"--{name.replace('_', '-')} or {_PREFIX}{name.upper()}: " if name else ""
        lines.append(f"  {where}{problem['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)
