"""Whether a version may be tried at all: what can be said before anything is loaded.

It reads the model repository and changes nothing.
"""

from pathlib import Path

from inkling_server.errors import RolloutRefused, UnknownModelVersion
from inkling_server.model_manifest import ModelManifest
from inkling_server.rollout.repository import RepositoryVersion, list_versions


def find_target(
    repository: Path, version: int, *, serving: ModelManifest, pinned: int | None
) -> RepositoryVersion:
    """The version that is to be rolled out. It blocks, for small files.

    Args:
        repository: as Triton reads it.
        version: that is wanted.
        serving: the model that serves now.
        pinned: the version that the settings insist on.

    Raises:
        UnknownModelVersion: the repository has no such version.
        RolloutRefused: it must not be tried; the text says why.
    """
    if pinned is not None:
        raise RolloutRefused(
            f"the server's setting model_version insists on {pinned}: unset it (--model-version,"
            " INKLING_MODEL_VERSION) to roll out by command"
        )
    versions = list_versions(repository, serving)
    target = next((entry for entry in versions if entry.version == version), None)
    if target is None:
        numbers = [entry.version for entry in versions]
        raise UnknownModelVersion("the model repository has no such version", numbers)
    if target.manifest is None or not target.is_deployable:
        raise RolloutRefused(f"version {version} cannot serve: {target.problem}")
    if version == serving.version and target.manifest.fingerprint != serving.fingerprint:
        raise RolloutRefused(
            f"version {version} serves with other weights than its folder has now: export new"
            " weights under a new number"
        )
    return target
