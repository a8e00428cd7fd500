"""How much memory does a gateway take, by number of tags?

    python -m benchmarks.bench_memory                            a table, JSON as the last line
    python -m benchmarks.bench_memory --out benchmarks/results   and as files
    python -m benchmarks.bench_memory --tags 7351 100000

Each round starts the real server (real Triton, the shipped model) on a graph of real phrases (see
`search_data`) with as many edges per interest as the shipped graph, tags pictures, and reads
/proc/<pid>/smaps_rollup of the gateway's process. Before it a first start makes the files that the
second one maps: what is measured is an ordinary start. No texts are sent: the first text that comes
loads word lists of some 250 MB more.

RSS counts the mapped rows and the libraries whole; PSS divides them among the processes that share
them, so several gateways on one folder cost less than their RSS says.
"""

import argparse
import io
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.report import hardware, write_report
from benchmarks.search_data import (
    MODELS,
    cuts,
    model_version,
    phrases,
    shipped_graph,
    tag_counts,
    tag_embeddings,
)
from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from inkling_server.embedding_cache import CacheKey, EmbeddingCache
from inkling_server.interests.graph import (
    Edges,
    GraphSnapshot,
    Interest,
    interest_id,
    make_snapshot,
)
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.model_manifest import load_manifest
from tests.server_process import ServerProcess

COUNTS = (7_351, 30_000, 100_000)
PICTURES = 300
LIMIT_MB = 400
_KINDS = ("Rss", "Pss", "Pss_Anon", "Pss_File")


def write_data(count: int, folder: Path, cache: Path) -> None:
    """A data folder with a graph of `count` interests and their embeddings."""
    spare = count + count // 20 + 500  # some phrases share an id
    named: dict[str, int] = {}
    texts = phrases(spare)
    for place, phrase in enumerate(texts):
        named.setdefault(interest_id(phrase), place)
    chosen = sorted(list(named.items())[:count])
    own = {interest.id: interest for interest in shipped_graph().interests}
    drawn = tag_counts(spare)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    interests = [
        own.get(name)
        or Interest(
            name,
            texts[place],
            aliases=(f"{texts[place]}s",) if place % 2 else (),
            count=int(drawn[place]),
            trend_z=place / 7,
            rank=1 / (place + 1),
            topic=place % 50,
            community=place % 300,
            first_seen=now,
            last_seen=now,
            extractors=("c_value", "rake"),
        )
        for name, place in chosen
    ]
    graph = make_snapshot(interests, now, edges=_edges(count, shipped_graph()))
    save_snapshot(graph, folder / "graph")
    (folder / "graph" / "current").write_text(f"{graph.version}\n", encoding="utf-8")
    embeddings_ND = tag_embeddings(spare, cache)[[place for _, place in chosen]]
    EmbeddingCache(folder / "embeddings").store(
        CacheKey.of(load_manifest(MODELS, model_version())),
        [interest.phrase for interest in interests],
        embeddings_ND,
    )


def _edges(count: int, shipped: GraphSnapshot) -> Edges:
    """Random ones, as many per interest as the shipped graph has."""
    wanted = count * len(shipped.edges) // len(shipped.interests)
    rng = np.random.default_rng(7)
    ends_E2 = np.sort(rng.integers(0, count, (wanted, 2)), axis=1)
    ends_E2 = np.unique(ends_E2[ends_E2[:, 0] < ends_E2[:, 1]], axis=0)
    weight_E = rng.uniform(0.1, 1, len(ends_E2)).astype(np.float32)
    return Edges(ends_E2.astype(np.int32), weight_E, np.zeros_like(weight_E), weight_E.copy())


def memory_mb(pid: int) -> dict[str, float]:
    """Resident memory of a process by kind, in MiB."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        kind, _, rest = line.partition(":")
        if kind in _KINDS:
            found[kind] = int(rest.split()[0]) / 1024
    return found


def measure(count: int, cache: Path, flags: list[str]) -> dict[str, Any]:
    """Memory of an ordinary start, and after pictures were tagged."""
    folder = Path(tempfile.mkdtemp(prefix="inkling-memory-"))
    try:
        write_data(count, folder, cache)
        with ServerProcess(folder, *flags) as first:
            first.wait_serving(600)
        with ServerProcess(folder, *flags) as server:
            start_s = server.wait_serving(600)
            result = {"tags": count, "start_s": start_s, "start": memory_mb(server.process.pid)}
            stub = tagging_pb2_grpc.TaggingServiceStub(server.channel)
            for photo in cuts(PICTURES):
                buffer = io.BytesIO()
                Image.fromarray(photo).save(buffer, "JPEG")
                stub.Tag(tagging_pb2.TagRequest(image=buffer.getvalue()), timeout=60)
            result["after"] = memory_mb(server.process.pid)
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tags", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--cache", type=Path, default=Path("build/bench-search"))
    parser.add_argument("--flag", action="append", default=[], help="of the server; repeatable")
    parser.add_argument("--out", type=Path, help="folder for the report's files")
    parsed = parser.parse_args(arguments)
    results = [measure(count, parsed.cache, parsed.flag) for count in parsed.tags]
    lines = [
        "# Memory of a gateway by number of tags",
        "",
        f"{hardware()}; MiB; after {PICTURES} pictures; flags: {parsed.flag or 'none'}",
        "",
        "| tags | RSS at start | RSS | PSS | of it anonymous | of it files | start, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        after = " | ".join(f"{r['after'][kind]:.0f}" for kind in _KINDS)
        lines.append(f"| {r['tags']:,} | {r['start']['Rss']:.0f} | {after} | {r['start_s']:.1f} |")
    print("\n".join(lines))
    report = {
        "benchmark": "memory",
        "hardware": hardware(),
        "flags": parsed.flag,
        "results": results,
        "limit_mb": LIMIT_MB,
        "met": all(r["after"]["Rss"] < LIMIT_MB for r in results if r["tags"] <= 100_000),
    }
    if parsed.out is not None:
        write_report(parsed.out, "memory", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
