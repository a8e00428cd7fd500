"""What settings mean for content and people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inkling_server.data_dir import DataDir
from inkling_server.people.ingesting import IngestLimits
from inkling_server.people.refreshing import PeoplePolicy
from inkling_server.people.service import PeopleSettings
from inkling_server.people.storage_keeper import StorageKeeper
from inkling_server.settings import Settings
from inkling_server.storage import Storage, open_storage
from inkling_server.storage.embedded import EmbeddedPostgres

NO_DATABASE = "off"


def storage_keeper(settings: Settings, data_dir: DataDir) -> StorageKeeper:
    """The database that the settings name."""
    url = settings.database_url
    if url == NO_DATABASE:
        return StorageKeeper(None, embedded=False)
    pool_size = settings.database_pool_count

    @asynccontextmanager
    async def by_url(url: str) -> AsyncIterator[Storage]:
        async with open_storage(url, pool_size=pool_size) as storage:
            yield storage

    @asynccontextmanager
    async def embedded() -> AsyncIterator[Storage]:
        async with (
            await EmbeddedPostgres.start(data_dir.root) as postgres,
            by_url(postgres.url) as storage,
        ):
            yield storage

    if url is None:
        return StorageKeeper(embedded, embedded=True)
    return StorageKeeper(lambda: by_url(url), embedded=False)


def people_settings(settings: Settings, data_dir: DataDir) -> PeopleSettings:
    """How content and people are handled."""
    return PeopleSettings(
        repository=settings.model_repository,
        operations=data_dir.root / "operations",
        half_life_days=settings.profile_half_life_days,
        prior_scale=settings.profile_prior_scale,
        refresh=PeoplePolicy(
            period_s=settings.people_refresh_s,
            cluster_count=settings.cluster_count,
            beta=settings.cluster_beta,
            retention_days=settings.retention_days,
            nice=settings.refresh_nice,
        ),
        ingest=IngestLimits(),
    )
