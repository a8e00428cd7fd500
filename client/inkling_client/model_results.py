"""What clients hand out about the model's versions: plain frozen values, made from messages.

This module does not know connections, and nothing in it can fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from google.longrunning import operations_pb2

from inkling.v1 import model_pb2
from inkling_client.errors import InklingClientError, from_status
from inkling_client.graph_results import enum_word, utc
from inkling_client.operation_calls import OperationKind


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """How the new model does beside the old one, on the same pictures and the same graph.

    Args:
        decision: "accepted", "refused", "forced" or "informative" (a rollback).
        problems: what is beyond a limit, in words.
        folder_count: pictures of the server's canary folder.
        live_count: pictures of recent requests.
        built_in_count: pictures that the server draws itself.
        unreadable_count: pictures that could not be read.
        tag_overlap: mean Jaccard index of both models' tags, in [0, 1], over `overlap_count`.
        overlap_count: pictures that get a tag of either.
        top1_kept: share of pictures whose best old tag is among the new model's best five.
        old_coverage: share of pictures with a tag, by the old model.
        new_coverage: by the new one.
        old_p50_ms: encoding one picture, waiting included; the others alike.
    """

    decision: str
    problems: tuple[str, ...]
    folder_count: int
    live_count: int
    built_in_count: int
    unreadable_count: int
    tag_overlap: float
    overlap_count: int
    top1_kept: float
    old_coverage: float
    new_coverage: float
    old_p50_ms: float
    old_p95_ms: float
    new_p50_ms: float
    new_p95_ms: float


@dataclass(frozen=True, slots=True)
class RolloutProgress:
    """A rollout at one moment.

    Args:
        name: of its operation.
        done: it has succeeded, failed, or was cancelled.
        stage: "loading", "embedding", "canary", ... "done"; "" where the server does not say.
        done_count: of this stage: phrases while embedding, pictures while comparing.
        total_count: 0 where there is nothing to count.
        version: to be served.
        model_version: its name, number and fingerprint.
        base_version: served when it began.
        base_model_version: its name, number and fingerprint.
        rollback: back to the version before.
        stage_s: how long each finished stage took.
        create_time: when it was asked for (UTC).
        end_time: None while it runs.
        report: None until the pictures are compared.
    """

    name: str
    done: bool
    stage: str
    done_count: int
    total_count: int
    version: int
    model_version: str
    base_version: int
    base_model_version: str
    rollback: bool
    stage_s: Mapping[str, float]
    create_time: datetime | None
    end_time: datetime | None
    report: CanaryReport | None


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """What a rollout has done.

    Args:
        version: serves now.
        model_version: its name, number and fingerprint.
        previous_version: served before; equal where it served already.
        previous_model_version: its name, number and fingerprint.
        report: None where nothing was compared.
    """

    version: int
    model_version: str
    previous_version: int
    previous_model_version: str
    report: CanaryReport | None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the server's model repository.

    Args:
        version: its folder.
        name: of the model; "" where it has no manifest.
        fingerprint: of its weights.
        created_time: of its manifest (UTC).
        calibrated_time: None: it is not calibrated, and cannot be deployed.
        serving: it serves now.
        loaded: it could run at once.
        problem: why it cannot be deployed; "": nothing is known against it.
    """

    version: int
    name: str
    fingerprint: str
    created_time: datetime | None
    calibrated_time: datetime | None
    serving: bool
    loaded: bool
    problem: str


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Which versions there are, and which of them serves.

    Args:
        version: serves now.
        model_version: its name, number and fingerprint.
        previous_version: what a rollback would serve; None: nothing.
        versions: of the model repository, ascending.
        last_rollout: None: there was none.
        last_error: how that one has failed; None where it runs, or has not.
    """

    version: int
    model_version: str
    previous_version: int | None
    versions: tuple[ModelVersion, ...]
    last_rollout: RolloutProgress | None
    last_error: InklingClientError | None


def model_status(response: model_pb2.GetModelStatusResponse) -> ModelStatus:
    """The answer to GetModelStatus."""
    last = response.last_rollout if response.HasField("last_rollout") else None
    outcome = rollout_outcome(last) if last is not None else None
    return ModelStatus(
        version=response.version,
        model_version=response.model_version,
        previous_version=(
            response.previous_version if response.HasField("previous_version") else None
        ),
        versions=tuple(_version(message) for message in response.versions),
        last_rollout=rollout_progress(last) if last is not None else None,
        last_error=outcome if isinstance(outcome, InklingClientError) else None,
    )


def rollout_progress(operation: operations_pb2.Operation) -> RolloutProgress:
    """How far an operation is."""
    metadata = model_pb2.DeployModelMetadata()
    operation.metadata.Unpack(metadata)
    return RolloutProgress(
        name=operation.name,
        done=operation.done,
        stage=_stage(metadata.stage),
        done_count=metadata.done_count,
        total_count=metadata.total_count,
        version=metadata.version,
        model_version=metadata.model_version,
        base_version=metadata.base_version,
        base_model_version=metadata.base_model_version,
        rollback=metadata.rollback,
        stage_s={
            _stage(entry.stage): entry.duration.ToNanoseconds() / 1e9
            for entry in metadata.stage_durations
        },
        create_time=utc(metadata.create_time) if metadata.HasField("create_time") else None,
        end_time=utc(metadata.end_time) if metadata.HasField("end_time") else None,
        report=_report(metadata.report) if metadata.HasField("report") else None,
    )


def rollout_outcome(
    operation: operations_pb2.Operation,
) -> RolloutResult | InklingClientError | None:
    """How an operation has ended; None: it runs."""
    if not operation.done:
        return None
    if operation.HasField("error"):
        return from_status(operation.error)
    response = model_pb2.DeployModelResponse()
    operation.response.Unpack(response)
    return RolloutResult(
        version=response.version,
        model_version=response.model_version,
        previous_version=response.previous_version,
        previous_model_version=response.previous_model_version,
        report=_report(response.report) if response.HasField("report") else None,
    )


ROLLOUT = OperationKind("rollout", rollout_progress, rollout_outcome)


def _version(message: model_pb2.ModelVersion) -> ModelVersion:
    has_calibration = message.HasField("calibrated_time")
    return ModelVersion(
        version=message.version,
        name=message.name,
        fingerprint=message.fingerprint,
        created_time=utc(message.created_time) if message.HasField("created_time") else None,
        calibrated_time=utc(message.calibrated_time) if has_calibration else None,
        serving=message.serving,
        loaded=message.loaded,
        problem=message.problem,
    )


def _report(message: model_pb2.CanaryReport) -> CanaryReport:
    return CanaryReport(
        decision=enum_word(model_pb2.CanaryDecision.DESCRIPTOR, message.decision),
        problems=tuple(message.problems),
        folder_count=message.folder_count,
        live_count=message.live_count,
        built_in_count=message.built_in_count,
        unreadable_count=message.unreadable_count,
        tag_overlap=message.tag_overlap,
        overlap_count=message.overlap_count,
        top1_kept=message.top1_kept,
        old_coverage=message.old_coverage,
        new_coverage=message.new_coverage,
        old_p50_ms=message.old_p50_ms,
        old_p95_ms=message.old_p95_ms,
        new_p50_ms=message.new_p50_ms,
        new_p95_ms=message.new_p95_ms,
    )


def _stage(number: model_pb2.RolloutStage.ValueType) -> str:
    return enum_word(model_pb2.RolloutStage.DESCRIPTOR, number)
