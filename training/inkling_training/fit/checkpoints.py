"""A training run's state on disk: one file a checkpoint, written whole or not at all.

    RUN/checkpoints/step-00000200.pt   {"step", "settings", "state"}

A file is written under another name, flushed to the disk and renamed, so that a kill at any moment
leaves the previous checkpoint. The newest `keep` stay. A checkpoint of other settings is refused:
resuming with another batch size would be a third run, neither the old nor the new one. Files hold
tensors, numbers and text only and are read with `weights_only`: a checkpoint cannot run code.

This module knows no model, no optimiser and no step function.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_ABSENT = "(absent)"


class SettingsDiffer(ValueError):
    """The checkpoint was made with other settings; the text names each difference."""

    def __init__(self, path: Path, differences: Mapping[str, tuple[object, object]]) -> None:
        listed = "; ".join(
            f"{name}: {then!r} in the checkpoint, {now!r} now"
            for name, (then, now) in sorted(differences.items())
        )
        super().__init__(
            f"{path.name} was made with other settings: {listed}. Start with the same settings, "
            "or in another folder, or resume never"
        )
        self.differences = dict(differences)


class CheckpointUnreadable(ValueError):
    """The file is no checkpoint of ours, or its bytes are damaged."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one file holds.

    Attributes:
        step: how many optimiser steps were done when it was made.
        state: nested dicts and lists of tensors, numbers and text.
    """

    step: int
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run. Only one process may write; any may read."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], keep: int = 2) -> None:
        """Args:
        folder: made at the first save.
        settings: everything that changes what the run computes, JSON-like and flat.
        keep: how many files stay, >= 1.
        """
        if keep < 1:
            raise ValueError(f"keep must be at least 1, not {keep}")
        self.folder = folder
        self.settings = dict(settings)
        self._keep = keep

    def paths(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        return sorted(self.folder.glob("step-*.pt"))

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Writes one checkpoint atomically and deletes those beyond the newest `keep`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}.pt"
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            torch.save({"step": step, "settings": self.settings, "state": dict(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        _flush_folder(self.folder)
        for old in self.paths()[: -self._keep]:
            old.unlink()
        for torn in self.folder.glob("*.draft"):  # of a run that was killed while it wrote
            torn.unlink()
        return path

    def newest(self, map_location: torch.device | str = "cpu") -> Checkpoint | None:
        """The checkpoint to go on from; None where there is none.

        Raises:
            SettingsDiffer: it was made with other settings.
            CheckpointUnreadable: the file is damaged.
        """
        paths = self.paths()
        return None if not paths else self.read(paths[-1], map_location)

    def read(self, path: Path, map_location: torch.device | str = "cpu") -> Checkpoint:
        """Reads one file; same errors as `newest`."""
        try:
            saved = torch.load(path, map_location=map_location, weights_only=True)
            step, then, state = int(saved["step"]), saved["settings"], saved["state"]
        except Exception as error:  # torch raises half a dozen kinds
            raise CheckpointUnreadable(f"{path} is not a checkpoint of a run: {error}") from error
        differences = {
            name: (then.get(name, _ABSENT), self.settings.get(name, _ABSENT))
            for name in then.keys() | self.settings.keys()
            if then.get(name, _ABSENT) != self.settings.get(name, _ABSENT)
        }
        if differences:
            raise SettingsDiffer(path, differences)
        return Checkpoint(step, state)


def _flush_folder(folder: Path) -> None:
    """A rename survives a power cut only once its folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
