"""How the graph is refreshed."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from inkling_server.settings.group import SettingsGroup

Language = Annotated[str, Field(pattern="^[a-z]{2,3}$")]


class GraphSettings(SettingsGroup):
    """How the graph is refreshed."""

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

    @field_validator("languages", mode="before")
    @classmethod
    def _parted_by_commas(cls, value: object) -> object:
        return [word.strip() for word in value.split(",")] if isinstance(value, str) else value
