"""What the gateway must know of a pairwise model that the ONNX files cannot say.

Two small JSON files lie beside the vision encoder's weights: `manifest.json` (pixels, text,
dimension, fingerprint) and `calibration.json` (how a cosine becomes a probability). The training
package writes both; the gateway only reads them. This module knows no Triton, ONNX or graph.

Source of the calibration: Platt, "Probabilistic outputs for support vector machines" (1999); the
prior term is the log-odds shift of a label prior, capped.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """How a picture becomes the encoder's pixels.

    Attributes:
        size: side of the square, in pixels.
        fit: "crop" scales the shorter side to round(size / crop_fraction) and cuts the centre;
            "squash" scales both sides to `size` and forgets the aspect ratio.
        crop_fraction: share of the shorter side that survives the crop, in (0, 1].
    """

    size: int = 224
    fit: Literal["crop", "squash"] = "crop"
    crop_fraction: float = 1.0


@dataclass(frozen=True, slots=True)
class TextSpec:
    """How a phrase becomes the text encoder's integers.

    Attributes:
        max_tokens: longer texts are cut, special tokens included.
        template: wraps a phrase before tokenising; "{}" stands for the phrase.
        pad_id: token that fills short rows.
    """

    max_tokens: int = 32
    template: str = "{}"
    pad_id: int = 0


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Recommended defaults with what they gave on the validation split (shares in [0, 1])."""

    top_n: int
    min_score: float
    precision: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """score = sigmoid(scale * cosine + bias + prior), a probability that the tag is relevant.

    prior = clip(prior_weight * (ln(count + prior_smoothing) - m), -prior_cap, prior_cap) with m the
    mean of ln(count + prior_smoothing) over the graph's interests.

    Attributes:
        scale, bias: fitted on the validation split named by `split`.
        prior_weight: 0 switches the prior off.
        prior_cap: greatest absolute shift by the prior, in logits.
        prior_smoothing: pseudo-count, > 0.
        ece: expected calibration error on that split, in [0, 1].
        recommended: defaults for requests that name none.
    """

    scale: float
    bias: float
    prior_weight: float
    prior_cap: float
    prior_smoothing: float
    calibrated_time: datetime
    split: str
    ece: float
    recommended: OperatingPoint


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """A pairwise model as the gateway sees it. `version` names both encoders' folder in Triton."""

    name: str
    version: int
    fingerprint: str
    dimension: int
    image: PixelSpec
    text: TextSpec

    @property
    def model_version(self) -> str:
        """What answers call this model: name, version and fingerprint."""
        return f"{self.name}:{self.version}:{self.fingerprint}"


_MANIFEST = TypeAdapter(ModelManifest)
_CALIBRATION = TypeAdapter(Calibration)


def load_manifest(model_repository: Path, version: int | None = None) -> ModelManifest:
    """Reads the manifest of one version, by default the greatest that has one.

    Raises:
        FileNotFoundError: no version of the repository's vision encoder has a manifest.
        pydantic.ValidationError: the file does not say what it must.
    """
    return _MANIFEST.validate_python(_read(model_repository, version, "manifest.json"))


def load_calibration(model_repository: Path, version: int | None = None) -> Calibration:
    """Reads the calibration of one version, chosen as by `load_manifest`; same errors."""
    return _CALIBRATION.validate_python(_read(model_repository, version, "calibration.json"))


def _read(model_repository: Path, version: int | None, name: str) -> object:
    encoder = model_repository / "vision_encoder"
    if version is None:
        versions = [int(path.parent.name) for path in encoder.glob(f"[0-9]*/{name}")]
        if not versions:
            raise FileNotFoundError(f"no version folder with a {name} in {encoder}")
        version = max(versions)
    document: object = json.loads((encoder / str(version) / name).read_text(encoding="utf-8"))
    return document
