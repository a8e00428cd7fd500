"""What the server tells about itself: Prometheus metrics and structured logs.

    Tagger, Boundary, Canary ──(observer protocols)──► Metrics ──► /metrics
    logging ──► one line a record, key=value or JSON, on standard error

Each gateway has a registry of its own, so that two in one process do not mix. Nothing here measures
or decides anything, and no metric or log record holds anything from a request: labels come from
fixed lists (RPC, code, reason, stage), never from callers.

Units: seconds and counts, as Prometheus wants them.
"""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric

from inkling_server.observers import Stage
from inkling_server.serving_state import ServingState

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Everything that is counted. Implements the observers of Tagger and Boundary."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        rpcs = Counter(
            "inkling_rpcs",
            "Finished RPCs. code is gRPC's, reason is ErrorInfo's (empty without one).",
            ["rpc", "code", "reason"],
            registry=registry,
        )
        rpc_seconds = Histogram(
            "inkling_rpc_seconds",
            "From the arrival of an RPC to its end. A stream counts once.",
            ["rpc"],
            buckets=_SECONDS,
            registry=registry,
        )
        rpcs_under_way = Gauge(
            "inkling_rpcs_under_way", "RPCs that have not ended.", ["rpc"], registry=registry
        )
        # Looked up three times for each call, refused ones too: their own look-up locks.
        self._rpcs = cache(rpcs.labels)
        self._rpc_seconds = cache(rpc_seconds.labels)
        self._rpcs_under_way = cache(rpcs_under_way.labels)
        self._stream_answers = Counter(
            "inkling_stream_answers",
            "Answers on TagStream. reason is empty for tags.",
            ["reason"],
            registry=registry,
        )
        stage_seconds = Histogram(
            "inkling_stage_seconds",
            "admission and decode: one picture; encode and search: one batch.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        # Looked up once: finding a child by its labels costs more than counting.
        self._stage_seconds = {stage: stage_seconds.labels(stage) for stage in get_args(Stage)}
        self._queue_seconds = Histogram(
            "inkling_queue_seconds",
            "How long a decoded picture waited for its batch.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch_size = Histogram(
            "inkling_batch_size", "Pictures of one batch.", buckets=_SIZES, registry=registry
        )
        self._batch_seconds = Histogram(
            "inkling_batch_seconds",
            "Encoding and search of one batch.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._failed_batches = Counter(
            "inkling_failed_batches", "Batches with at least one error.", registry=registry
        )
        self._pictures = Counter(
            "inkling_pictures", "Pictures that went through the encoder.", registry=registry
        )
        self._dropped = Counter(
            "inkling_dropped_pictures",
            "Left the queue without reaching the encoder.",
            ["why"],
            registry=registry,
        )
        self._overloaded = Counter(
            "inkling_overloaded", "Pictures refused by a full server.", registry=registry
        )
        self._canaries = Counter(
            "inkling_canaries", "Canary pictures, by outcome.", ["outcome"], registry=registry
        )
        self._canary_seconds = Histogram(
            "inkling_canary_seconds",
            "One canary picture through decode, encoder and index.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._serving = Gauge(
            "inkling_serving", "1 while the tagging service is SERVING.", registry=registry
        )
        self._encoder_restarts = Counter(
            "inkling_encoder_restarts", "Times that Triton was brought back.", registry=registry
        )
        self._refreshes = Counter(
            "inkling_refreshes",
            "Refreshes of the graph, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._refresh_seconds = Gauge(
            "inkling_refresh_seconds", "How long the latest refresh took.", registry=registry
        )
        self._refreshed_at = Gauge(
            "inkling_graph_swapped_timestamp_seconds",
            "When the graph that serves took over from another one.",
            registry=registry,
        )
        self._rollouts = Counter(
            "inkling_rollouts",
            "Rollouts of a model version, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._rollout_seconds = Gauge(
            "inkling_rollout_seconds", "How long the latest rollout took.", registry=registry
        )
        self._model_swapped_at = Gauge(
            "inkling_model_swapped_timestamp_seconds",
            "When the model that serves took over from another one.",
            registry=registry,
        )
        self._versions = {"server_version": "", "model_version": "", "graph_version": ""}
        self._version = Info("inkling", "Versions that serve.", registry=registry)
        self.picture_count = 0

    def render(self) -> bytes:
        """The page that Prometheus scrapes."""
        return generate_latest(self._registry)

    def families(self) -> list[Metric]:
        """The same as values."""
        return list(self._registry.collect())

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Adds a gauge that is read at each scrape."""
        Gauge(name, what, registry=self._registry).set_function(value)

    def versions(self, *, server: str, model: str, graph: str) -> None:
        """Names what serves now."""
        self._versions = {
            "server_version": server,
            "model_version": model,
            "graph_version": graph,
        }
        self._version.info(self._versions)

    def graph_swapped(self, state: ServingState) -> None:
        """Another version of the graph serves from now on."""
        self._name_versions(state)
        self._refreshed_at.set_to_current_time()

    def model_swapped(self, state: ServingState) -> None:
        """Another version of the model serves from now on."""
        self._name_versions(state)
        self._model_swapped_at.set_to_current_time()

    def rollout_finished(self, outcome: str, duration_s: float) -> None:
        """A rollout has ended."""
        self._rollouts.labels(outcome).inc()
        self._rollout_seconds.set(duration_s)

    def _name_versions(self, state: ServingState) -> None:
        self._versions |= {
            "model_version": state.model_version,
            "graph_version": state.graph_version,
        }
        self._version.info(self._versions)

    def refresh_finished(self, outcome: str, duration_s: float) -> None:
        """A refresh has ended."""
        self._refreshes.labels(outcome).inc()
        self._refresh_seconds.set(duration_s)

    def serving(self, serving: bool) -> None:
        """The tagging service's health has changed."""
        self._serving.set(serving)

    def canary_finished(self, outcome: Literal["ok", "busy", "failed"], duration_s: float) -> None:
        """One canary came back, or did not."""
        self._canaries.labels(outcome).inc()
        self._canary_seconds.observe(duration_s)

    def encoder_restarted(self) -> None:
        """Triton was started anew, or a model was loaded anew."""
        self._encoder_restarts.inc()

    def stream_answered(self, reason: str) -> None:
        """One picture of a TagStream has its reply."""
        self._stream_answers.labels(reason).inc()

    # What the Boundary tells (rpc.boundary.RpcObserver)

    def rpc_started(self, rpc: str) -> None:
        self._rpcs_under_way(rpc).inc()

    def rpc_finished(self, rpc: str, code: str, reason: str, duration_s: float) -> None:
        self._rpcs_under_way(rpc).dec()
        self._rpcs(rpc, code, reason).inc()
        self._rpc_seconds(rpc).observe(duration_s)

    # What the Tagger tells (tagging.TagObserver)

    def stage_finished(self, stage: Stage, duration_s: float, picture_count: int) -> None:
        self._stage_seconds[stage].observe(duration_s)
        if stage == "search":
            self.picture_count += picture_count
            self._pictures.inc(picture_count)

    def overloaded(self) -> None:
        self._overloaded.inc()

    def batch_started(self, size: int, queue_depth: int, waits_s: Sequence[float]) -> None:
        del queue_depth  # a gauge reads it at each scrape
        self._batch_size.observe(size)
        for wait_s in waits_s:
            self._queue_seconds.observe(wait_s)

    def batch_finished(self, size: int, duration_s: float, *, failed: bool) -> None:
        del size
        self._batch_seconds.observe(duration_s)
        if failed:
            self._failed_batches.inc()

    def item_dropped(self, why: Literal["expired", "cancelled"]) -> None:
        self._dropped.labels(why).inc()


_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogFormatter(logging.Formatter):
    """One line a record: time, level, logger, text, then whatever `extra` carried."""

    def __init__(self, style: Literal["text", "json"]) -> None:
        super().__init__()
        self._json = style == "json"

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {k: v for k, v in vars(record).items() if k not in _PLAIN_FIELDS}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if self._json:
            return json.dumps(fields, default=str)
        head = f"{fields.pop('time')} {record.levelname:<7} {fields.pop('logger')}: "
        text = str(fields.pop("message"))
        del fields["level"]
        return head + " ".join([text, *(f"{k}={_quoted(v)}" for k, v in fields.items())])


def set_up_logging(level: str, style: Literal["text", "json"]) -> None:
    """Sends every record of the process to standard error. For the program's entry only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(style))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # One line for each scrape and health probe says nothing.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c in text for c in ' "=\n') else text
