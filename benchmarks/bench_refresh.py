"""How long does a refresh take, how much memory, and what does a second one with 1 % new cost?

    python -m benchmarks.bench_refresh                            a table, JSON as last line
    python -m benchmarks.bench_refresh --out benchmarks/results   and both as files
    python -m benchmarks.bench_refresh --items 10000              a quick look

A real server (real Triton) on loopback, otherwise idle, with a new data folder: it serves the
shipped graph. The content feed gets `--items` short posts (titles of Reddit posts and tweets of the
sample data, shuffled, spread over 60 days; each by one of 5,000 authors, and liked by two others):
the first refresh reads them all, the second 1 % that is appended, the third nothing. Stages are
those that the operation reports; memory is the refresh process's own, asked for 20 times a second.

Needs the sample data: INKLING_SAMPLE_DATA, else ../shared/data beside the repository.
"""

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from google.longrunning import operations_pb2, operations_pb2_grpc

from benchmarks.report import hardware, write_report
from inkling.v1 import graph_pb2, graph_pb2_grpc
from inkling_training.data import sample_data_dir
from tests.server_process import ServerProcess

AUTHORS, DAYS, SEED = 5_000, 60, 0
SHORT = 400  # characters


def short_texts(folder: Path) -> list[str]:
    """Titles and tweets, each once, shuffled."""
    texts: dict[str, None] = {}
    for name, field in (("reddit", "title"), ("hashtags", "text")):
        with gzip.open(folder / "corpora" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                text = record.get(field) or ""
                if 0 < len(text) <= SHORT:
                    texts[text] = None
    found = list(texts)
    random.Random(SEED).shuffle(found)
    return found


def feed_lines(texts: list[str], first: int, newest: datetime) -> Iterator[str]:
    """An item for each text, and two likes."""
    generator = random.Random(first)
    for number, text in enumerate(texts, first):
        age = timedelta(days=generator.uniform(0, DAYS)) if first == 0 else timedelta(0)
        item = {
            "id": f"item-{number}",
            "caption": text,
            "author_id": f"person-{generator.randrange(AUTHORS)}",
            "created_time": (newest - age).isoformat(),
        }
        yield json.dumps(item)
        for _ in range(2):
            person = f"person-{generator.randrange(AUTHORS)}"
            yield json.dumps({"user_id": person, "content_id": item["id"], "kind": "like"})


def append(path: Path, lines: Iterator[str]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def refresh(server: ServerProcess) -> dict[str, Any]:
    """Runs one refresh to its end."""
    graph = graph_pb2_grpc.GraphServiceStub(server.channel)
    operations = operations_pb2_grpc.OperationsStub(server.channel)
    started = time.monotonic()
    operation = graph.RefreshGraph(graph_pb2.RefreshGraphRequest())
    peak_bytes = 0
    while not operation.done:
        time.sleep(0.05)
        peak_bytes = max(peak_bytes, worker_bytes(server))
        request = operations_pb2.GetOperationRequest(name=operation.name)
        operation = operations.GetOperation(request)
    took_s = time.monotonic() - started
    if operation.HasField("error"):
        raise RuntimeError(operation.error.message)
    response, metadata = graph_pb2.RefreshGraphResponse(), graph_pb2.RefreshGraphMetadata()
    operation.response.Unpack(response)
    operation.metadata.Unpack(metadata)
    return {
        "seconds": round(took_s, 2),
        "stages_s": {
            graph_pb2.RefreshStage.Name(d.stage).removeprefix("REFRESH_STAGE_").lower(): round(
                d.duration.ToTimedelta().total_seconds(), 2
            )
            for d in metadata.stage_durations
        },
        "peak_mb": round(peak_bytes / 2**20),
        "items": response.item_count,
        "kept": response.kept_count,
        "near_duplicates": response.near_duplicate_count,
        "other_language": response.other_language_count,
        "engagements": response.engagement_count,
        "interests": response.interest_count,
        "added": response.added_count,
        "edges": response.edge_count,
    }


def worker_bytes(server: ServerProcess) -> int:
    """Resident memory of the refresh process; 0 where there is none."""
    try:
        return int(server.child("python", "refresh.worker").memory_info().rss)
    except (LookupError, psutil.Error):
        return 0


def measure(item_count: int) -> dict[str, Any]:
    texts = short_texts(sample_data_dir())
    extra = item_count // 100
    if len(texts) < item_count + extra:
        raise SystemExit(
            f"only {len(texts):,} short texts: --items at most {len(texts) * 100 // 101}"
        )
    newest = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="inkling-bench-") as folder:
        content = Path(folder) / "content"
        content.mkdir()
        feed = content / "feed.jsonl"
        append(feed, feed_lines(texts[:item_count], 0, newest))
        with ServerProcess(Path(folder) / "data", f"--content-dir={content}") as server:
            server.wait_serving()
            first = refresh(server)
            append(feed, feed_lines(texts[item_count : item_count + extra], item_count, newest))
            second = refresh(server)
            third = refresh(server)
            gateway_mb = round(psutil.Process(server.process.pid).memory_info().rss / 2**20)
    return {
        "benchmark": "refresh",
        "hardware": hardware(),
        "runs": {"first": first, "1 % new": second, "nothing new": third},
        "second_over_first": round(second["seconds"] / first["seconds"], 4),
        "gateway_mb": gateway_mb,
    }


def as_markdown(report: dict[str, Any]) -> list[str]:
    runs = report["runs"]
    stages = list(dict.fromkeys(stage for run in runs.values() for stage in run["stages_s"]))
    columns = ["refresh", "items", "s", "peak MB", "interests", *stages]
    lines = [f"# Refresh on {report['hardware']}", ""]
    lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, run in runs.items():
        cells = [name, f"{run['items']:,}", run["seconds"], run["peak_mb"], f"{run['interests']:,}"]
        cells += [run["stages_s"].get(stage, "") for stage in stages]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    share = report["second_over_first"]
    lines += ["", f"1 % new takes {share:.1%} of the first refresh. Stages in seconds.", ""]
    return lines + (__doc__ or "").split("\n\n", 2)[2].strip().splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="folder for a JSON and a Markdown file")
    arguments = parser.parse_args()
    report = measure(arguments.items)
    lines = as_markdown(report)
    print("\n".join(lines))
    if arguments.out:
        write_report(arguments.out, "refresh", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
