"""How a new model version is rolled out."""

from pathlib import Path

from pydantic import Field

from inkling_server.settings.group import SettingsGroup


class RolloutSettings(SettingsGroup):
    """How a new model version is rolled out."""

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
