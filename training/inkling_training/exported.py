"""The exported model as files, run the way the server runs it: decode, encode, calibrated scores.

Evaluation and calibration look at the model only through this module, so that their figures are
those of the files that ship. It knows no gold tags.

Legend: B pictures or texts, V interests, D dimensions.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inkling_server.images import ImageLimits, decode
from inkling_server.interests.graph import Interest
from inkling_server.model_manifest import Calibration, ModelManifest, load_manifest
from inkling_server.scoring import prior_logits

Embeddings = NDArray[np.float32]
_BATCH = 32


class ExportedModel:
    """Both encoders of one version of a model repository, on ONNX Runtime."""

    def __init__(self, repository: Path, version: int | None = None) -> None:
        self.manifest: ModelManifest = load_manifest(repository, version)
        folder = str(self.manifest.version)
        text = repository / "text_encoder" / folder
        self._vision = _session(repository / "vision_encoder" / folder / "model.onnx")
        self._text = _session(text / "model.onnx")
        self._tokenizer = Tokenizer.from_file(str(text / "tokenizer.json"))

    def encode_pixels(self, pixels_BHWC: NDArray[np.uint8]) -> Embeddings:
        """uint8 [B, S, S, 3] -> [B, D]."""
        embeddings_BD: Embeddings = self._vision.run(["embedding"], {"pixels": pixels_BHWC})[0]
        return embeddings_BD

    def encode_pictures(self, pictures: Sequence[bytes]) -> Embeddings:
        """Encoded pictures -> [B, D]."""
        spec, limits = self.manifest.image, ImageLimits()
        chunks = []
        with ThreadPoolExecutor(2) as pool:
            for start in range(0, len(pictures), _BATCH):
                batch = pictures[start : start + _BATCH]
                pixels = list(pool.map(lambda picture: decode(picture, spec, limits), batch))
                chunks.append(self.encode_pixels(np.stack(pixels)))
        return np.concatenate(chunks)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Phrases or sentences -> [B, D]; texts of like length share a batch."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        embeddings_BD = np.empty((len(texts), self.manifest.dimension), np.float32)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            phrases = [self.manifest.text.template.format(texts[row]) for row in rows]
            encodings = self._tokenizer.encode_batch(phrases)
            feeds = {
                "input_ids": np.array([encoding.ids for encoding in encodings]),
                "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
            }
            embeddings_BD[rows] = self._text.run(["embedding"], feeds)[0]
        return embeddings_BD


def scores(
    cosines_BV: NDArray[np.float64],
    interests: Sequence[Interest],
    calibration: Calibration,
    *,
    prior: bool = True,
) -> NDArray[np.float64]:
    """Calibrated probabilities [B, V], with the graph's prior or without."""
    used = calibration if prior else replace(calibration, prior_weight=0.0)
    prior_V = prior_logits([interest.count for interest in interests], used)
    logits_BV = calibration.scale * cosines_BV + calibration.bias + prior_V
    probabilities_BV: NDArray[np.float64] = 1 / (1 + np.exp(-logits_BV))
    return probabilities_BV


def _session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
