"""Content and people."""

from pydantic import Field

from inkling_server.settings.group import SettingsGroup


class PeopleSettings(SettingsGroup):
    """Content and people."""

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
