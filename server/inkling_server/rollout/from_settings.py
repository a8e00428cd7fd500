"""Ties rollouts to what serves: whose settings, whose folders, whose pictures.

    Settings, DataDir ─┐
    StateHolder ───────┼─► RolloutManager
    EncoderBackend ────┘

It does not know how a rollout works (`manager`), nor RPCs.
"""

from collections.abc import Sequence

from inkling_server.canary import canary_pictures
from inkling_server.data_dir import DataDir
from inkling_server.encoders import EncoderBackend, EncoderDescription
from inkling_server.images import ImageLimits
from inkling_server.rollout.manager import (
    OpenState,
    RolloutManager,
    RolloutObserver,
    RolloutPolicy,
)
from inkling_server.rollout.operation import CanaryLimits
from inkling_server.rollout.operation_files import rollout_files
from inkling_server.rollout.pointer import PointerFile, version_to_serve
from inkling_server.rollout.repository import list_versions
from inkling_server.rollout.sample import LiveSample
from inkling_server.rollout.trial import Trial
from inkling_server.serving_state import StateHolder
from inkling_server.settings import Settings
from inkling_server.turn import Turn


def first_version(settings: Settings, data_dir: DataDir) -> int:
    """The version that this server starts with. Raises FileNotFoundError where there is none."""
    return version_to_serve(
        list_versions(settings.model_repository),
        settings.model_version,
        PointerFile(data_dir.model).read(),
    )


def make_rollouts(
    settings: Settings,
    data_dir: DataDir,
    states: StateHolder,
    backend: EncoderBackend,
    *,
    open_state: OpenState,
    sample: LiveSample,
    image_limits: ImageLimits,
    turn: Turn,
    observer: RolloutObserver,
    encoders: Sequence[EncoderDescription],
) -> RolloutManager:
    """A manager for this server's model repository; arguments as those of `RolloutManager`."""
    return RolloutManager(
        states,
        backend,
        open_state=open_state,
        trial=Trial(
            folder=settings.canary_dir,
            sample=sample,
            built_in=canary_pictures(),
            image_limits=image_limits,
            timeout_s=settings.encoder_timeout_s,
            pause_ratio=settings.rollout_pause_ratio,
        ),
        pointer=PointerFile(data_dir.model),
        files=rollout_files(data_dir.root / "operations"),
        turn=turn,
        observer=observer,
        encoders=encoders,
        policy=RolloutPolicy(
            repository=settings.model_repository,
            pinned=settings.model_version,
            limits=CanaryLimits(
                min_overlap=settings.rollout_min_overlap,
                max_latency_ratio=settings.rollout_max_latency_ratio,
                max_lost_coverage=settings.rollout_max_lost_coverage,
            ),
            pause_ratio=settings.rollout_pause_ratio,
        ),
    )
