"""JPEG bytes to tags in the plainest good way: OpenCV, ONNX Runtime fp32, one matrix product.

    pictures ─► OpenCV, a thread a core ─► uint8 batch ─► ONNX Runtime ─► rows x query ─► top N

Shared by the peers that do not bring their own. It knows no server and nothing of `inkling_server`.

Shapes: B pictures, N tags, D dimensions, E = D + 1.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

SIZE = 224
Tags = list[tuple[str, str, float]]


class PictureBroken(Exception):
    """Bytes that OpenCV cannot read as a picture."""


class TagMatrix(NamedTuple):
    """The tags as `benchmarks.speed.tags.export_tags` wrote them.

    `rows_NE` holds the embedding and the sum of bias, prior and offset; its product with
    [scale * x, 1] is the logit of the score.
    """

    rows_NE: NDArray[np.float32]
    ids: list[str]
    phrases: list[str]
    scale: float
    top_n: int
    min_score: float

    @classmethod
    def load(cls, path: Path) -> "TagMatrix":
        with np.load(path) as file:
            return cls(
                file["rows_NE"],
                file["ids"].tolist(),
                file["phrases"].tolist(),
                float(file["scale"]),
                int(file["top_n"]),
                float(file["min_score"]),
            )

    def top(self, embeddings_BD: NDArray[np.float32]) -> list[Tags]:
        """The best tags of each picture that score more than `min_score`, best first."""
        query_BE = np.empty((len(embeddings_BD), embeddings_BD.shape[1] + 1), np.float32)
        query_BE[:, :-1] = embeddings_BD * self.scale
        query_BE[:, -1] = 1
        logits_BN = query_BE @ self.rows_NE.T
        best_BK = np.argpartition(logits_BN, -self.top_n, axis=1)[:, -self.top_n :]
        logits_BK = np.take_along_axis(logits_BN, best_BK, axis=1)
        order_BK = np.argsort(-logits_BK, axis=1)
        best_BK = np.take_along_axis(best_BK, order_BK, axis=1)
        scores_BK = 1 / (1 + np.exp(-np.take_along_axis(logits_BK, order_BK, axis=1)))
        return [
            [
                (self.ids[row], self.phrases[row], float(score))
                for row, score in zip(rows_K, scores_K, strict=True)
                if score > self.min_score
            ]
            for rows_K, scores_K in zip(best_BK, scores_BK, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class TaggerOptions:
    """What a tagger is made of.

    Attributes:
        model: model.onnx, uint8 pixels [B, 224, 224, 3] to embeddings [B, D].
        tags: file of the tag matrix.
        threads: of decoding, and of ONNX Runtime.
        tuned: two things that not everybody thinks of. The JPEG decoder halves the picture on the
            way, and ONNX Runtime's threads sleep while they have nothing to do, instead of keeping
            the processors from the decoder.
    """

    model: Path
    tags: Path
    threads: int = len(os.sched_getaffinity(0))
    tuned: bool = False


class Tagger:
    """Pictures to tags, a batch at a time."""

    def __init__(self, options: TaggerOptions) -> None:
        cv2.setNumThreads(1)
        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = options.threads
        if options.tuned:
            session.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            str(options.model), session, providers=["CPUExecutionProvider"]
        )
        self._matrix = TagMatrix.load(options.tags)
        self._tuned = options.tuned
        self.pool = ThreadPoolExecutor(options.threads)
        self._input = self._session.get_inputs()[0].name

    def decode(self, picture: bytes) -> NDArray[np.uint8]:
        """RGB pixels [224, 224, 3]. Raises PictureBroken."""
        flags = cv2.IMREAD_REDUCED_COLOR_2 if self._tuned else cv2.IMREAD_COLOR
        try:
            pixels_HWC = cv2.imdecode(np.frombuffer(picture, np.uint8), flags)
        except cv2.error as error:
            raise PictureBroken("not a picture") from error
        if pixels_HWC is None:
            raise PictureBroken("not a picture")
        small_HWC = cv2.resize(pixels_HWC, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small_HWC, cv2.COLOR_BGR2RGB), np.uint8)

    def tag_pixels(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Tags]:
        """Tags of decoded pictures."""
        return self._matrix.top(self._session.run(None, {self._input: np.stack(pixels)})[0])

    def tag(self, pictures: Sequence[bytes]) -> list[Tags | PictureBroken]:
        """Decodes side by side, then encodes. A broken picture does not hurt the others."""

        def decode(picture: bytes) -> NDArray[np.uint8] | PictureBroken:
            try:
                return self.decode(picture)
            except PictureBroken as broken:
                return broken

        decoded = list(self.pool.map(decode, pictures))
        good = [pixels for pixels in decoded if not isinstance(pixels, PictureBroken)]
        tags = iter(self.tag_pixels(good) if good else [])
        return [one if isinstance(one, PictureBroken) else next(tags) for one in decoded]


def tagger_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of the options, and the port."""
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tags", type=Path, required=True)
    parser.add_argument("--tuned", action="store_true", help="see TaggerOptions")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed")


def options_of(arguments: argparse.Namespace) -> TaggerOptions:
    """The options that the flags say."""
    return TaggerOptions(arguments.model, arguments.tags, tuned=arguments.tuned)
