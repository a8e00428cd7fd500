"""calibration.json beside the vision encoder: numbered, replaced atomically, old ones kept.

    vision_encoder/<version>/calibration.json       what the server reads
                            /calibration-<n>.json   what it was before, by its number
                            /calibration_choice.json  why: every candidate's figures
                            /tuning.json            the whole curve of the operating point

The server reads calibration.json when it loads a model; nothing here tells it to.
"""

import json
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from inkling_server.model_manifest import Calibration, Curve

NAME = "calibration.json"
CHOICE, TUNING = "calibration_choice.json", "tuning.json"
_OLD = re.compile(r"calibration-(\d+)\.json")
_ADAPTER = TypeAdapter(Calibration)


def folder_of(model_repository: Path, version: int) -> Path:
    """Where the artifacts of one model version lie."""
    return model_repository / "vision_encoder" / str(version)


def rounded(calibration: Calibration) -> Calibration:
    """The values that a file will hold: whoever judges a calibration judges these."""
    bend = calibration.curve
    if bend is not None:
        bend = Curve(
            tuple(round(value, 5) for value in bend.logits),
            tuple(round(value, 5) for value in bend.calibrated),
        )
    return replace(
        calibration,
        scale=round(calibration.scale, 4),
        bias=round(calibration.bias, 4),
        prior_weight=round(calibration.prior_weight, 4),
        ece=round(calibration.ece, 5),
        curve=bend,
    )


def read(folder: Path) -> dict[str, Any] | None:
    """calibration.json as it stands, whatever its format; None where there is none.

    Raises:
        json.JSONDecodeError: it is no JSON.
    """
    path = folder / NAME
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def publish(folder: Path, calibration: Calibration) -> int:
    """Makes a calibration the current one; returns its number."""
    return publish_document(folder, _ADAPTER.dump_python(calibration, mode="json"))


def publish_document(folder: Path, document: dict[str, Any]) -> int:
    """Makes a document the current calibration.json under the next number, which is returned.

    The current one is kept under its own number first, so that a crash between the two steps
    leaves both. At every moment calibration.json is whole.
    """
    current = read(folder)
    kept = [int(match[1]) for path in folder.iterdir() if (match := _OLD.fullmatch(path.name))]
    number = max(kept, default=0) + 1
    if current is not None:
        # A file of format 1 has no number, and a copied one may have a number that is taken.
        current_number = int(current.get("version", 1))
        if current_number in kept:
            current_number = number
        write(folder / f"calibration-{current_number}.json", current)
        number = max(number, current_number + 1)
    write(folder / NAME, {**document, "version": number})
    return number


def write(path: Path, document: dict[str, Any]) -> None:
    """Writes JSON; whoever reads `path` meanwhile reads the old file or the new one."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # mkstemp lets nobody else read, a server may be someone else
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
