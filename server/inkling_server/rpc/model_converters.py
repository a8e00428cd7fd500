"""Rollouts and model versions as messages of `inkling.v1` and `google.longrunning`, and back.

Nothing here awaits or logs.
"""

from google.longrunning import operations_pb2

from inkling.v1 import model_pb2
from inkling_server.errors import ArgumentOutOfRange
from inkling_server.rollout.operation import (
    CanaryLimits,
    CanaryReport,
    DeployOrder,
    ModelStatus,
    RolloutOperation,
    RolloutStage,
)
from inkling_server.rollout.repository import RepositoryVersion
from inkling_server.rpc.graph_converters import to_duration, to_time
from inkling_server.rpc.status import to_status

_MAX_LATENCY_RATIO = 1_000.0


def to_order(request: model_pb2.DeployModelRequest, defaults: CanaryLimits) -> DeployOrder:
    """What a request asks for, with the server's limits where it names none.

    Raises:
        ArgumentOutOfRange: it asks for something that there cannot be.
    """
    if request.version < 1:
        raise ArgumentOutOfRange("version", f"{request.version}", "1 and more")
    values = {}
    for field in ("min_overlap", "max_latency_ratio", "max_lost_coverage"):
        value = getattr(request if request.HasField(field) else defaults, field)
        is_ratio = field == "max_latency_ratio"
        # Written so that NaN fails, too.
        if not (0 < value <= _MAX_LATENCY_RATIO if is_ratio else 0 <= value <= 1):
            allowed = f"above 0, at most {_MAX_LATENCY_RATIO:,.0f}" if is_ratio else "0 to 1"
            raise ArgumentOutOfRange(field, f"{value:g}", allowed)
        values[field] = value
    return DeployOrder(request.version, CanaryLimits(**values), force=request.force)


def to_rollout(rollout: RolloutOperation) -> operations_pb2.Operation:
    """A rollout at one moment: metadata always, and its result or its error once it has ended."""
    message = operations_pb2.Operation(name=rollout.name, done=rollout.is_done)
    message.metadata.Pack(_to_metadata(rollout))
    if rollout.error is not None:
        message.error.CopyFrom(to_status(rollout.error))
    elif rollout.summary is not None:
        summary = rollout.summary
        response = model_pb2.DeployModelResponse(
            version=summary.version,
            model_version=summary.model_version,
            previous_version=summary.previous_version,
            previous_model_version=summary.previous_model_version,
        )
        if rollout.report is not None:
            response.report.CopyFrom(_to_report(rollout.report))
        message.response.Pack(response)
    return message


def to_status_response(status: ModelStatus) -> model_pb2.GetModelStatusResponse:
    """Which versions there are, and which serves."""
    response = model_pb2.GetModelStatusResponse(
        version=status.version,
        model_version=status.model_version,
        previous_version=status.previous_version,
        versions=[
            _to_version(entry, serving=status.version, loaded=entry.version in status.loaded)
            for entry in status.versions
        ],
    )
    if status.last_rollout is not None:
        response.last_rollout.CopyFrom(to_rollout(status.last_rollout))
    return response


def _to_version(entry: RepositoryVersion, *, serving: int, loaded: bool) -> model_pb2.ModelVersion:
    message = model_pb2.ModelVersion(
        version=entry.version,
        serving=entry.version == serving,
        loaded=loaded,
        problem=entry.problem,
    )
    if entry.manifest is not None:
        message.name, message.fingerprint = entry.manifest.name, entry.manifest.fingerprint
    if entry.created_time is not None:
        message.created_time.CopyFrom(to_time(entry.created_time))
    if entry.calibrated_time is not None:
        message.calibrated_time.CopyFrom(to_time(entry.calibrated_time))
    return message


def _to_metadata(rollout: RolloutOperation) -> model_pb2.DeployModelMetadata:
    progress = rollout.progress
    message = model_pb2.DeployModelMetadata(
        stage=_to_stage(progress.stage),
        done_count=progress.done_count,
        total_count=progress.total_count,
        create_time=to_time(rollout.create_time),
        version=rollout.version,
        model_version=rollout.model_version,
        base_version=rollout.base_version,
        base_model_version=rollout.base_model_version,
        rollback=rollout.is_rollback,
        stage_durations=[
            model_pb2.RolloutStageDuration(stage=_to_stage(stage), duration=to_duration(seconds))
            for stage, seconds in rollout.stage_s.items()
        ],
    )
    if rollout.end_time is not None:
        message.end_time.CopyFrom(to_time(rollout.end_time))
    if rollout.report is not None:
        message.report.CopyFrom(_to_report(rollout.report))
    return message


def _to_stage(stage: RolloutStage) -> model_pb2.RolloutStage.ValueType:
    return model_pb2.RolloutStage.Value(f"ROLLOUT_STAGE_{stage.name}")


def _to_report(report: CanaryReport) -> model_pb2.CanaryReport:
    return model_pb2.CanaryReport(
        decision=model_pb2.CanaryDecision.Value(f"CANARY_DECISION_{report.decision.upper()}"),
        problems=report.problems,
        folder_count=report.folder_count,
        live_count=report.live_count,
        built_in_count=report.built_in_count,
        unreadable_count=report.unreadable_count,
        tag_overlap=report.tag_overlap,
        overlap_count=report.overlap_count,
        top1_kept=report.top1_kept,
        old_coverage=report.old_coverage,
        new_coverage=report.new_coverage,
        old_p50_ms=report.old_p50_ms,
        old_p95_ms=report.old_p95_ms,
        new_p50_ms=report.new_p50_ms,
        new_p95_ms=report.new_p95_ms,
    )
