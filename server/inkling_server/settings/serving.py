"""What the server works with, and how much it does at a time."""

import os
from pathlib import Path
from typing import Any

from platformdirs import user_data_path
from pydantic import Field

from inkling_server.settings.group import SettingsGroup

# Where a checkout (or an editable install of one) keeps it; an installed wheel has no such folder.
_CHECKOUT_MODEL_REPOSITORY = Path(__file__).resolve().parents[3] / "model_repository"


def _cpus_of_a_process(settings: dict[str, Any]) -> int:
    return max(1, len(os.sched_getaffinity(0)) // int(settings.get("processes", 1)))


class ServingSettings(SettingsGroup):
    """What the server works with, and how much it does at a time."""

    # What it works with
    data_dir: Path = Field(
        default=user_data_path("inkling"),
        description="Folder of the graph, the caches and Triton's logs. One server at a time may "
        "use it; two servers need two folders.",
    )
    model_repository: Path = Field(
        default=_CHECKOUT_MODEL_REPOSITORY,
        description="Model repository as Triton reads it. Also read by the gateway (manifest, "
        "calibration, tokenizer) when Triton is remote.",
    )
    model_version: int | None = Field(
        default=None,
        ge=1,
        description="Version folder of the pairwise model to serve; deploying is then refused. "
        "Unset: the version that was deployed last, and before the first rollout the greatest one.",
    )
    triton_url: str | None = Field(
        default=None,
        description="host:port of a running Triton's gRPC service. Unset: the server starts, "
        "watches and stops its own on loopback.",
    )
    triton_unload: bool = Field(
        default=False,
        description="With triton_url: whether a rollout unloads the version that it replaces. Only "
        "where this server is that Triton's only user: others may serve that version yet. In "
        "a Triton of its own it is always unloaded.",
    )
    encoder_timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Longest that one batch may take in the encoder. A longer one fails its "
        "pictures with ENCODER_DOWN. Too short: a busy encoder looks dead.",
    )
    start_timeout_s: float = Field(
        default=120.0,
        gt=0,
        le=3_600,
        description="Longest that the encoders may take to answer at the start, before the server "
        "gives up and exits with 1.",
    )

    # How much it does at a time
    processes: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Processes that tag, all on grpc_port: one Python process does about 2,000 "
        "pictures a second, whatever the machine. The kernel hands each new connection to one of "
        "them, so clients need several connections. Each takes memory of its own, and what is "
        "limited below is limited in each.",
    )
    max_queue_count: int = Field(
        default=128,
        ge=1,
        le=100_000,
        description="Pictures of all clients that may wait or be worked on at a time, in each "
        "process. Beyond it Tag answers OVERLOADED and TagStream stops reading. Greater: more "
        "memory and longer waits under load, not more throughput.",
    )
    max_stream_in_flight: int = Field(
        default=96,
        ge=1,
        le=10_000,
        description="Pictures of one TagStream that are worked on at a time. Smaller than three "
        "batches (one computes, one waits, one is decoded): a single client cannot keep the "
        "encoder busy.",
    )
    max_batch_count: int = Field(
        default=32,
        ge=1,
        le=1_024,
        description="Most pictures of one encoder batch; at most the model's own maximum. Greater: "
        "more throughput on a GPU, longer latency on a CPU.",
    )
    max_batch_delay_s: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Longest that a picture may wait for company while the encoder is busy; an "
        "encoder with an idle stream gets it at once, and half a batch goes as soon as it has "
        "gathered.",
    )
    encoder_streams: int = Field(
        default_factory=_cpus_of_a_process,
        ge=1,
        le=256,
        description="Pictures that the encoder computes side by side for each process: while fewer "
        "are with it, the next ones do not wait for company. Default: each process's part of the "
        "CPUs that the server may use, at least 1, as config.pbtxt has one stream for each CPU.",
    )
    decode_threads: int = Field(
        default_factory=_cpus_of_a_process,
        ge=1,
        le=256,
        description="Threads that decode pictures, in each process. Default: each process's part "
        "of the CPUs that the server may use, at least 1.",
    )
    max_connection_streams: int = Field(
        default=1_024,
        ge=1,
        le=100_000,
        description="RPCs of one connection at a time; beyond it HTTP/2 makes the client wait. "
        "Keep it above max_queue_count, or one client waits where OVERLOADED should tell it.",
    )
