"""The orders of a refresh out of the server's settings.

Apart from `refreshing`, because it imports what only the extra `discovery` brings.
"""

from datetime import datetime
from pathlib import Path

from inkling_server.interests.activity import ActivitySettings
from inkling_server.interests.build import BuildSettings
from inkling_server.interests.selection import SelectionSettings
from inkling_server.interests.text.preprocess import TextSettings
from inkling_server.refresh.orders import RefreshOrders
from inkling_server.settings import Settings


def refresh_orders(
    settings: Settings,
    *,
    root: Path,
    base: Path,
    feed: Path,
    database_url: str | None,
    force: bool,
    now: datetime,
    fingerprint: str,
    dimension: int,
) -> RefreshOrders:
    """Arguments as the attributes of `RefreshOrders`."""
    return RefreshOrders(
        root=root,
        base=base,
        feed=feed,
        database_url=database_url,
        force=force,
        now=now,
        embedder=settings.embedder,
        fingerprint=fingerprint,
        dimension=dimension,
        text=TextSettings(languages=settings.languages),
        build=BuildSettings(
            selection=SelectionSettings(
                min_documents=settings.min_interest_documents,
                max_interests=settings.max_interest_count,
            ),
            activity=ActivitySettings(
                recent_days=settings.trend_days,
                half_life_days=settings.interest_half_life_days,
                retire_after_days=settings.interest_retire_days,
            ),
        ),
        # Five times what may become interests: most phrases are said once and never again.
        max_records=5 * settings.max_interest_count,
        nice=settings.refresh_nice,
    )
