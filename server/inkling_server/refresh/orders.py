"""What the refresh process is told to do, as one value that travels as JSON.

It knows neither how orders are carried out nor where the settings come from.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from inkling_server.interests.build import BuildSettings
from inkling_server.interests.text.preprocess import TextSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOrders:
    """One refresh.

    Attributes:
        root: folder of versions; the draft is written there.
        base: folder of the version to build on.
        feed: folder of the content feed.
        database_url: of what was taken in over the network; None: there is none, or it is down. A
            secret: it travels over the pipe only.
        force: build a version also where nothing is new.
        now: when the refresh began; the new version's time.
        embedder: see `embedders.spec`.
        fingerprint: of the serving text encoder.
        dimension: of the serving text encoder.
        text: how documents are read.
        build: how the graph is made.
        max_records: phrases that are remembered.
        nice: added to the process's niceness, 0 to 19.
    """

    root: Path
    base: Path
    feed: Path
    force: bool
    now: datetime
    embedder: str
    fingerprint: str
    dimension: int
    text: TextSettings = field(default_factory=TextSettings)
    build: BuildSettings = field(default_factory=BuildSettings)
    max_records: int = 100_000
    database_url: str | None = field(default=None, repr=False)
    nice: int = 19


_ORDERS = TypeAdapter(RefreshOrders)


def to_json(orders: RefreshOrders) -> dict[str, object]:
    """Orders as JSON values."""
    values: dict[str, object] = _ORDERS.dump_python(orders, mode="json")
    return values


def from_json(values: object) -> RefreshOrders:
    """Orders of what `to_json` made.

    Raises:
        ValueError: it is something else; says where, and does not repeat it: orders hold a secret.
    """
    try:
        return _ORDERS.validate_python(values)
    except ValidationError as error:
        problems = [(found["loc"], found["type"]) for found in error.errors(include_input=False)]
    raise ValueError(f"these are no orders: {problems}")
