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

from inkling_server.images import ImageLimits, decode
from inkling_server.interests.graph import Interest
from inkling_server.model_manifest import Calibration, ModelManifest, load_manifest
from inkling_server.scoring import final_logits, offset_logits, prior_logits, sigmoid
from inkling_server.tokens import PhraseTokenizer

Embeddings = NDArray[np.float32]
_BATCH = 32
_ROWS = 64  # pictures scored at a time: a curve needs several arrays of their size


class ExportedModel:
    """Both encoders of one version of a model repository, on ONNX Runtime."""

    def __init__(self, repository: Path, version: int | None = None) -> None:
        self.manifest: ModelManifest = load_manifest(repository, version)
        folder = str(self.manifest.version)
        text = repository / "text_encoder" / folder
        self._vision = _session(repository / "vision_encoder" / folder / "model.onnx")
        self._text = _session(text / "model.onnx")
        self._tokenizer = PhraseTokenizer(text / "tokenizer.json", self.manifest.text)

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
        embeddings_BD = np.empty((len(texts), self.manifest.dimension), np.float32)
        for batch in self._tokenizer.batches(texts, _BATCH):
            feeds = {"input_ids": batch.input_ids_BL, "attention_mask": batch.attention_mask_BL}
            embeddings_BD[batch.rows] = self._text.run(["embedding"], feeds)[0]
        return embeddings_BD


def scores(
    cosines_BV: NDArray[np.float64],
    interests: Sequence[Interest],
    calibration: Calibration,
    *,
    prior: bool = True,
) -> NDArray[np.float64]:
    """The server's scores [B, V]: float32 values, held as float64.

    Args:
        cosines_BV: of each picture with each interest.
        interests: all of the graph, since the prior is relative to their mean.
        calibration: with its offsets and its curve.
        prior: False leaves the graph's prior out.
    """
    used = calibration if prior else replace(calibration, prior_weight=0.0)
    priors_V = prior_logits([interest.count for interest in interests], used)
    offsets_V = offset_logits([interest.id for interest in interests], used.tag_offsets)
    scores_BV = np.empty(cosines_BV.shape)
    for start in range(0, len(cosines_BV), _ROWS):
        rows = slice(start, start + _ROWS)
        logits_RV = final_logits(
            cosines_BV[rows],
            priors_V,
            offsets_V,
            scale=used.scale,
            bias=used.bias,
            curve=used.curve,
        )
        scores_BV[rows] = sigmoid(logits_RV)
    return scores_BV


def _session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
