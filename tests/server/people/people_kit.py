"""A gateway with a fake encoder, a real database, and calls of content and people."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling.v1 import common_pb2, content_pb2, content_pb2_grpc, profile_pb2, profile_pb2_grpc
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from tests.server.gateway_kit import gateway_settings, gateway_with, jpeg
from tests.serving import until

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
VIEW, LIKE, SAVE, SHARE, HIDE = range(1, 6)
COLOURS = ("red", "green", "blue", "white", "black", "yellow")


@dataclass
class Site:
    """A serving gateway and its stubs."""

    gateway: Gateway
    channel: grpc.aio.Channel

    def __post_init__(self) -> None:
        self.content: Any = content_pb2_grpc.ContentServiceStub(self.channel)
        self.profiles: Any = profile_pb2_grpc.ProfileServiceStub(self.channel)
        self.operations: Any = operations_pb2_grpc.OperationsStub(self.channel)

    async def ingest(
        self, requests: Sequence[content_pb2.IngestContentRequest]
    ) -> dict[str, content_pb2.IngestContentResponse]:
        """Replies by request id."""
        replies = self.content.IngestContent(iter(requests), timeout=60)
        return {reply.request_id: reply async for reply in replies}

    async def ingest_colours(self, colours: Iterable[str], prefix: str = "p") -> list[str]:
        """Takes in a picture of each colour; returns their ids."""
        requests = [picture(f"{prefix}{n}", colour) for n, colour in enumerate(colours)]
        replies = await self.ingest(requests)
        assert all(reply.HasField("content") for reply in replies.values()), replies
        return [request.item.content_id for request in requests]

    async def record(self, *engagements: content_pb2.Engagement) -> Any:
        """What became of them."""
        request = content_pb2.RecordEngagementsRequest(engagements=engagements)
        return await self.content.RecordEngagements(request, timeout=60)

    async def profile(self, user_id: str, **fields: Any) -> Any:
        """GetProfile."""
        request = profile_pb2.GetProfileRequest(user_id=user_id, **fields)
        return await self.profiles.GetProfile(request, timeout=20)

    async def recommend(self, user_id: str, **fields: Any) -> Any:
        """Recommend."""
        request = content_pb2.RecommendRequest(user_id=user_id, **fields)
        return await self.content.Recommend(request, timeout=20)

    async def refresh_people(self, **fields: Any) -> Any:
        """RefreshPeople, and its end."""
        request = profile_pb2.RefreshPeopleRequest(**fields)
        started = await self.profiles.RefreshPeople(request, timeout=20)
        return await self.operations.WaitOperation(
            operations_pb2.WaitOperationRequest(name=started.name), timeout=100
        )


def picture(content_id: str, colour: str, **context: Any) -> content_pb2.IngestContentRequest:
    """A one-coloured picture; its request is called as the item."""
    return content_pb2.IngestContentRequest(
        request_id=content_id,
        item=content_pb2.ContentItem(
            content_id=content_id, context=common_pb2.ContentContext(**context)
        ),
        image=jpeg(colour),
    )


def did(
    user_id: str, kind: int, content_id: str, *, request_id: str = "", days_ago: float = 0
) -> content_pb2.Engagement:
    """Somebody did something; the same call is the same engagement."""
    engagement = content_pb2.Engagement(
        request_id=request_id or f"{user_id}-{kind}-{content_id}",
        user_id=user_id,
        content_id=content_id,
        kind=kind,  # type: ignore[arg-type]
    )
    engagement.time.FromDatetime(NOW - timedelta(days=days_ago))
    return engagement


@asynccontextmanager
async def site(
    tmp_path: Path, database_url: str, encoder: FakeEncoder | None = None, **settings: Any
) -> AsyncIterator[Site]:
    """A gateway whose database is up."""
    values = {"database_url": database_url, "people_refresh_s": 0.0} | settings
    chosen = gateway_settings(tmp_path, **values)
    async with gateway_with(encoder or FakeEncoder(), chosen) as gateway:
        assert await gateway.wait_until_serving()
        if database_url != "off":
            await until(lambda: gateway.serves_people)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
            yield Site(gateway, channel)


async def people_with_clusters(here: Site) -> Any:
    """Ann keeps red, Bob green, Cyd both; clusters are fitted to all pictures."""
    colours = [COLOURS[n % len(COLOURS)] for n in range(60)]
    ids = await here.ingest_colours(colours)
    red = [name for name, colour in zip(ids, colours, strict=True) if colour == "red"]
    green = [name for name, colour in zip(ids, colours, strict=True) if colour == "green"]
    for user_id, kept in (("ann", red[:8]), ("bob", green[:8]), ("cyd", red[:4] + green[:4])):
        await here.record(*(did(user_id, SAVE, name) for name in kept))
    operation = await here.refresh_people(refit_clusters=True, cluster_count=6)
    assert operation.done
    assert not operation.HasField("error"), operation
    response = profile_pb2.RefreshPeopleResponse()
    operation.response.Unpack(response)
    return response
