"""Which version this server serves, remembered beyond its life.

    DATA_DIR/model.json   {"version": 2, "fingerprint": "9f8a...", "previous": 1}

It is written before the first rollout touches anything, and again at each swap: a server that is
killed at any moment starts with a version that has been proven. It blocks, for one small file.
"""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from inkling_server.rollout.repository import RepositoryVersion

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelPointer:
    """What serves.

    Attributes:
        version: folder of the model repository.
        fingerprint: of its weights.
        previous: served before; None: nothing did.
    """

    version: int
    fingerprint: str
    previous: int | None = None


_POINTER = TypeAdapter(ModelPointer)


class PointerFile:
    """The file; a reader sees all of it or what was there before."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> ModelPointer | None:
        """What it says; None where there is none that can be read."""
        try:
            return _POINTER.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.error("%s cannot be read: %s", self._path.name, type(error).__name__)
            return None

    def write(self, pointer: ModelPointer) -> None:
        """Replaces it. Raises OSError."""
        draft = self._path.with_name(f".{self._path.name}.draft")
        with draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(pointer)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


def version_to_serve(
    versions: Sequence[RepositoryVersion], pinned: int | None, pointer: ModelPointer | None
) -> int:
    """Which version a server starts with.

    Args:
        versions: of the model repository.
        pinned: the setting `model_version`; it decides where it is set.
        pointer: what was served last; it decides where that version may still serve.

    Raises:
        FileNotFoundError: none may serve; the text says why.
    """
    if pinned is not None:
        return pinned
    fit = {entry.version: entry for entry in versions if entry.is_deployable}
    if pointer is not None:
        entry = fit.get(pointer.version)
        if entry is not None:
            if entry.manifest and entry.manifest.fingerprint != pointer.fingerprint:
                _log.warning("version %d has other weights than it had", pointer.version)
            return pointer.version
        _log.error("version %d, which served last, cannot serve any more", pointer.version)
    if not fit:
        problems = "; ".join(f"{entry.version}: {entry.problem}" for entry in versions)
        raise FileNotFoundError(
            f"the model repository has no usable version ({problems or 'none'})"
        )
    return max(fit)
