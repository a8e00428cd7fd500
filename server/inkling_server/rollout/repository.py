"""The versions in a model repository: which there are, and which may serve.

    vision_encoder/<n>/manifest.json, calibration.json ─┐
    text_encoder/<n>/tokenizer.json ────────────────────┴─► version n

A version whose calibration is missing is there, and cannot be deployed: its scores would mean
nothing. All versions of a repository share Triton's config.pbtxt, and so the size of pixels and of
embeddings. It blocks, for small files; it does not know Triton, nor which version serves.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from inkling_server.model_manifest import (
    CalibrationUnusable,
    ModelManifest,
    load_calibration,
    load_manifest,
    require_same_model,
)

_VISION, _TEXT = "vision_encoder", "text_encoder"


@dataclass(frozen=True, slots=True)
class RepositoryVersion:
    """One version folder.

    Attributes:
        version: its number.
        manifest: None where there is none that can be read.
        created_time: when its manifest was written; None without one.
        calibrated_time: None where it has no usable calibration.
        problem: why it cannot serve; "" where nothing is known against it.
    """

    version: int
    manifest: ModelManifest | None
    created_time: datetime | None
    calibrated_time: datetime | None
    problem: str

    @property
    def is_deployable(self) -> bool:
        """Nothing is known against it."""
        return not self.problem


def list_versions(
    repository: Path, serving: ModelManifest | None = None
) -> tuple[RepositoryVersion, ...]:
    """Every version folder of either encoder, ascending.

    Args:
        repository: as Triton reads it.
        serving: a version that does not share its pixels and dimension cannot serve.
    """
    numbers = {
        int(folder.name)
        for encoder in (_VISION, _TEXT)
        for folder in (repository / encoder).glob("[1-9]*")
        if folder.name.isdecimal() and folder.is_dir()
    }
    return tuple(read_version(repository, number, serving) for number in sorted(numbers))


def read_version(
    repository: Path, number: int, serving: ModelManifest | None = None
) -> RepositoryVersion:
    """One version folder, whatever it lacks."""
    problems = []
    manifest = created_time = calibrated_time = None
    path = repository / _VISION / str(number) / "manifest.json"
    try:
        manifest = load_manifest(repository, number)
        created_time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if manifest.version != number:
            problems.append(f"its manifest.json is that of version {manifest.version}")
        elif serving is not None:
            problems += _misfits(manifest, serving)
    except FileNotFoundError:
        problems.append(f"{_VISION}/{number} has no manifest.json")
    except (OSError, ValueError, ValidationError) as error:
        problems.append(f"manifest.json cannot be read ({type(error).__name__})")
    try:
        calibration = load_calibration(repository, number)
        if manifest is not None:
            require_same_model(calibration, manifest)
        calibrated_time = calibration.calibrated_time
    except FileNotFoundError:
        problems.append("it is not calibrated: no calibration.json")
    except CalibrationUnusable as error:
        problems.append(str(error))
    except (OSError, ValueError) as error:
        problems.append(f"calibration.json cannot be read ({type(error).__name__})")
    if not (repository / _TEXT / str(number) / "tokenizer.json").is_file():
        problems.append(f"{_TEXT}/{number} has no tokenizer.json")
    return RepositoryVersion(number, manifest, created_time, calibrated_time, "; ".join(problems))


def _misfits(manifest: ModelManifest, serving: ModelManifest) -> list[str]:
    """What a version does not share with the one that serves, and must."""
    pairs = (
        ("pixels", manifest.image.size, serving.image.size),
        ("dimensions", manifest.dimension, serving.dimension),
    )
    return [
        f"{mine} {what}; the versions of this repository have {theirs} (config.pbtxt): give it a"
        " repository and a server of its own"
        for what, mine, theirs in pairs
        if mine != theirs
    ]
