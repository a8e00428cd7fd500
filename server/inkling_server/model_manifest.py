"""What the gateway must know of a pairwise model that the ONNX files cannot say.

Two small JSON files lie beside the vision encoder's weights: `manifest.json` (pixels, text,
dimension, fingerprint) and `calibration.json` (how a cosine becomes a probability). The training
package writes both; the gateway only reads them. This module knows no Triton, ONNX or graph.

Source of the calibration: Platt, "Probabilistic outputs for support vector machines" (1999); the
prior term is the log-odds shift of a label prior, capped.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

MAX_KNOTS = 32
MAX_TAG_OFFSET = 3.0  # logits: times 20 of the odds is as far as one tag's history may go


class CalibrationUnusable(Exception):
    """A calibration.json that must not serve: damaged, or made for another model."""


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
class Curve:
    """A strictly increasing correction of the logit: straight lines between knots, slope 1 outside.

    Source: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
    estimates" (2002): isotonic regression; here stored as few knots, and never flat, so that two
    tags of different logits keep their order.

    Attributes:
        logits: what goes in, ascending.
        calibrated: what comes out, ascending; as many.
    """

    logits: tuple[float, ...]
    calibrated: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.logits) == len(self.calibrated) <= MAX_KNOTS:
            raise ValueError(
                f"curve: {len(self.logits)} logits and {len(self.calibrated)} calibrated;"
                f" allowed: equally many, 2 to {MAX_KNOTS}"
            )
        for name, knots in (("logits", self.logits), ("calibrated", self.calibrated)):
            rising = all(low < high for low, high in pairwise(knots))
            if not (rising and all(map(math.isfinite, knots))):
                raise ValueError(f"curve.{name}: not rising; allowed: finite, strictly ascending")


@dataclass(frozen=True, slots=True)
class Calibration:
    """score = sigmoid(curve(scale * cosine + bias + prior + offset)), the probability that the tag
    is relevant.

    prior = clip(prior_weight * (ln(count + prior_smoothing) - m), -prior_cap, prior_cap) with m the
    mean of ln(count + prior_smoothing) over the graph's interests.

    Files of format 1 have neither curve nor offsets, and do not name their model.

    Attributes:
        scale, bias: fitted on the validation split named by `split`.
        prior_weight: 0 switches the prior off.
        prior_cap: greatest absolute shift by the prior, in logits.
        prior_smoothing: pseudo-count, > 0.
        calibrated_time: when it was fitted.
        split: which pictures fitted it, in words.
        ece: expected calibration error on pictures that did not, in [0, 1].
        recommended: defaults for requests that name none.
        format: of the file.
        version: number of the artifact beside one model; each that is written is one more.
        model_fingerprint: of the model whose cosines it is for; "": not said, fits any.
        graph_version: whose interests it was fitted with; it may serve others.
        method: what was fitted, in words.
        data: how many pictures of which parts fitted it, in words.
        fitted_on: digest of those pictures' keys, so that nobody judges it by them; "": not said.
        curve: None: the identity.
        tag_offsets: logits by interest id, each at most `MAX_TAG_OFFSET` in size. Ids that the
            graph lacks are ignored; interests without one have 0.
        validation: its figures on pictures that did not fit it, by name.
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
    format: Literal[1, 2] = 1
    version: int = 1
    model_fingerprint: str = ""
    graph_version: str = ""
    method: str = "sigmoid"
    data: str = ""
    fitted_on: str = ""
    curve: Curve | None = None
    tag_offsets: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0 < self.scale < math.inf and math.isfinite(self.bias)):
            raise ValueError(f"scale {self.scale}, bias {self.bias}; allowed: finite, scale > 0")
        for interest_id, offset in self.tag_offsets.items():
            # Written so that NaN fails, too.
            if not abs(offset) <= MAX_TAG_OFFSET:
                raise ValueError(
                    f"tag_offsets[{interest_id!r}]: {offset}; allowed: -{MAX_TAG_OFFSET:g} to"
                    f" {MAX_TAG_OFFSET:g}"
                )


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
    """Reads the calibration of one version, chosen as by `load_manifest`.

    Raises:
        FileNotFoundError: there is none.
        CalibrationUnusable: the file does not say what it must.
    """
    document = _read(model_repository, version, "calibration.json")
    try:
        return _CALIBRATION.validate_python(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))} {problem['msg']}".strip()
            for problem in error.errors()
        )
        raise CalibrationUnusable(f"calibration.json: {problems}") from error


def require_same_model(calibration: Calibration, manifest: ModelManifest) -> None:
    """Cosines of one model mean nothing to the calibration of another.

    Raises:
        CalibrationUnusable: it names another model's fingerprint.
    """
    made_for = calibration.model_fingerprint
    if made_for and made_for != manifest.fingerprint:
        raise CalibrationUnusable(
            f"calibration.json of {manifest.name}, version {manifest.version}: made for the model"
            f" with fingerprint {made_for}; allowed: {manifest.fingerprint}, which is served."
            " Calibrate this model"
        )


def _read(model_repository: Path, version: int | None, name: str) -> object:
    encoder = model_repository / "vision_encoder"
    if version is None:
        versions = [int(path.parent.name) for path in encoder.glob(f"[0-9]*/{name}")]
        if not versions:
            raise FileNotFoundError(f"no version folder with a {name} in {encoder}")
        version = max(versions)
    document: object = json.loads((encoder / str(version) / name).read_text(encoding="utf-8"))
    return document
