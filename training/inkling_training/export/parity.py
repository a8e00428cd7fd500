"""Does an exported version still answer like the torch model that it was made from?

    the same pixels and phrases ─┬─ torch, float32, the tokenizer's own tokens ─┬─ compared
                                 └─ the files, as the server runs them ─────────┘

For each runtime that may serve the files: the least and mean cosine between embeddings, of pictures
and of phrases, and how many of each picture's top tags stay the same. Apart from that, and without
any floor, what the server's decoder changes against the processors of `transformers` (Pillow,
bicubic, nothing skipped). This module does not know how files are made.

Legend: B pictures, V phrases, D dimensions, N top tags.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inkling_server.model_manifest import TextSpec
from inkling_server.row_batches import Runtime
from inkling_server.runtimes import RuntimeOptions, model_file, open_runtime, options_from
from inkling_server.tokens import PhraseTokenizer
from inkling_training.export.graphs import tokens_of
from inkling_training.export.samples import Samples
from inkling_training.export.variants import Floor
from inkling_training.models.loaded import LoadedModel
from inkling_training.models.preprocessing import reference_pixels

Embeddings = NDArray[np.float32]
TOP_N = 5
_BATCH = 8
_TIE = 1e-6  # of float32 cosines


class ParityFailed(ValueError):
    """The files answer otherwise than the model; the text says by how much."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One runtime against torch.

    Attributes:
        runtime: what ran, in its own words.
        pictures_least, pictures_mean: cosines, in [-1, 1].
        phrases_least, phrases_mean: cosines, in [-1, 1].
        tags_kept: share of each picture's top N tags that stay, mean over pictures, in [0, 1].
    """

    runtime: str
    pictures_least: float
    pictures_mean: float
    phrases_least: float
    phrases_mean: float
    tags_kept: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """The server's pixels against the processors' own, both encoded by torch.

    Attributes:
        grey_levels: mean absolute difference of pixels, in 0 to 255.
        cosine_least, cosine_mean: between the embeddings.
        tags_kept: as in `Agreement`.
    """

    grey_levels: float
    cosine_least: float
    cosine_mean: float
    tags_kept: float


@dataclass(frozen=True, slots=True)
class Reference:
    """Torch's own answers: pictures [B, D], phrases [V, D], and the pixels they were made from."""

    pixels_BHWC: NDArray[np.uint8]
    pictures_BD: Embeddings
    phrases_VD: Embeddings


@dataclass(frozen=True, slots=True)
class ParityReport:
    """What `parity.json` holds.

    Attributes:
        floor: what was demanded.
        picture_count, phrase_count: how many were compared.
        given_pictures: they are the caller's, not bundled ones.
        top_n: N.
        agreements: one for each runtime.
        decoding: without a floor.
    """

    floor: Floor
    picture_count: int
    phrase_count: int
    given_pictures: bool
    top_n: int
    agreements: tuple[Agreement, ...]
    decoding: Decoding

    def problems(self) -> list[str]:
        """What lies below the floor, in words; empty where all is well."""
        found = []
        for agreement in self.agreements:
            least = min(agreement.pictures_least, agreement.phrases_least)
            mean = min(agreement.pictures_mean, agreement.phrases_mean)
            for name, value, floor in (
                ("least", least, self.floor.least),
                ("mean", mean, self.floor.mean),
            ):
                if not value >= floor:  # also for NaN
                    found.append(f"{agreement.runtime}: {name} cosine {value:.5f} < {floor}")
            if not agreement.tags_kept >= self.floor.tags:
                found.append(
                    f"{agreement.runtime}: {agreement.tags_kept:.3f} of the top {self.top_n} tags "
                    f"kept < {self.floor.tags}"
                )
        return found

    def document(self) -> dict[str, Any]:
        """As JSON holds it, rounded to what the figures can mean."""

        def rounded(value: Any) -> Any:
            if isinstance(value, float):
                return round(value, 6)
            if isinstance(value, dict):
                return {key: rounded(entry) for key, entry in value.items()}
            return (
                [rounded(entry) for entry in value] if isinstance(value, (list, tuple)) else value
            )

        document: dict[str, Any] = rounded(asdict(self))
        return document

    def __str__(self) -> str:
        lines = [
            f"parity with torch on {self.picture_count} pictures and {self.phrase_count} phrases "
            f"(floor: {_floor(self.floor)} of the top {self.top_n} tags)",
            f"  {'cosine: least, mean':<36} {'pictures':>17} {'phrases':>17} {'tags':>6}",
        ]
        lines += [
            f"  {one.runtime:<36} {one.pictures_least:.6f} {one.pictures_mean:.6f} "
            f"{one.phrases_least:.6f} {one.phrases_mean:.6f} {one.tags_kept:6.1%}"
            for one in self.agreements
        ]
        decoding = self.decoding
        lines.append(
            "  the server's decoder against Pillow's bicubic: "
            f"{decoding.grey_levels:.1f} grey levels, cosine {decoding.cosine_least:.4f} at least, "
            f"{decoding.cosine_mean:.4f} mean, {decoding.tags_kept:.1%} of the tags (no floor)"
        )
        return "\n".join(lines)


def _floor(floor: Floor) -> str:
    cosine = f"least cosine {floor.least}" if floor.least > -1 else f"mean cosine {floor.mean}"
    return f"{cosine}, {floor.tags:.0%}"


def reference_of(model: LoadedModel, samples: Samples) -> Reference:
    """Torch's answers, batch by batch."""
    pixels_BHWC = samples.pixels(model.image)
    phrases = []
    with torch.inference_mode():
        for start in range(0, len(samples.phrases), 4 * _BATCH):
            tokens = tokens_of(model, samples.phrases[start : start + 4 * _BATCH])
            phrases.append(model.text(*tokens).float().numpy())
    return Reference(pixels_BHWC, _torch_pictures(model, pixels_BHWC), np.concatenate(phrases))


def agreement_of(
    vision: Path,
    text: Path,
    spec: TextSpec,
    samples: Samples,
    reference: Reference,
    runtime: str | None = None,
) -> Agreement:
    """Runs the files of two version folders and compares.

    Args:
        vision: version folder of pictures.
        text: version folder of phrases.
        spec: as the manifest has it.
        samples: what was given to torch.
        reference: what torch made of it.
        runtime: "onnxruntime": that instead of what the version asks for.
    """
    eyes, reader = _opened(vision, runtime), _opened(text, runtime)
    pixels_BHWC = reference.pixels_BHWC
    pictures_BD = _unit(
        np.concatenate(
            [
                eyes.run({"pixels": pixels_BHWC[start : start + _BATCH]})
                for start in range(0, len(pixels_BHWC), _BATCH)
            ]
        )
    )
    phrases_VD = np.empty_like(reference.phrases_VD)
    for batch in PhraseTokenizer(text / "tokenizer.json", spec).batches(samples.phrases, 32):
        tokens = {"input_ids": batch.input_ids_BL, "attention_mask": batch.attention_mask_BL}
        phrases_VD[batch.rows] = _unit(reader.run(tokens))
    picture_cosines_B = (pictures_BD * reference.pictures_BD).sum(axis=1)
    phrase_cosines_V = (phrases_VD * reference.phrases_VD).sum(axis=1)
    return Agreement(
        eyes.description.split(",")[0],
        float(picture_cosines_B.min()),
        float(picture_cosines_B.mean()),
        float(phrase_cosines_V.min()),
        float(phrase_cosines_V.mean()),
        tags_kept(reference.pictures_BD @ reference.phrases_VD.T, pictures_BD @ phrases_VD.T),
    )


def decoding_of(model: LoadedModel, samples: Samples, reference: Reference) -> Decoding:
    """What it costs that the server decodes faster than the model's own processor."""
    theirs_BHWC = np.stack([reference_pixels(one, model.image) for one in samples.pictures])
    theirs_BD = _torch_pictures(model, theirs_BHWC)
    cosines_B = (theirs_BD * reference.pictures_BD).sum(axis=1)
    difference = np.abs(theirs_BHWC.astype(np.int16) - reference.pixels_BHWC).mean()
    return Decoding(
        float(difference),
        float(cosines_B.min()),
        float(cosines_B.mean()),
        tags_kept(
            theirs_BD @ reference.phrases_VD.T, reference.pictures_BD @ reference.phrases_VD.T
        ),
    )


def tags_kept(
    wanted_BV: NDArray[np.float32], found_BV: NDArray[np.float32], top_n: int = TOP_N
) -> float:
    """Mean share of each row's `top_n` best columns that `wanted_BV` has among its own, in [0, 1].

    Columns that `wanted_BV` itself cannot tell from its Nth best count as among them: phrases may
    be equal to a tokenizer.
    """
    top_n = min(top_n, wanted_BV.shape[1])
    least_B1 = -np.sort(-wanted_BV, axis=1)[:, top_n - 1 : top_n]
    best_BN = np.argsort(-found_BV, axis=1)[:, :top_n]
    kept_BN = np.take_along_axis(wanted_BV, best_BN, axis=1) >= least_B1 - _TIE
    return float(kept_BN.mean())


def _torch_pictures(model: LoadedModel, pixels_BHWC: NDArray[np.uint8]) -> Embeddings:
    with torch.inference_mode():
        rows: Sequence[Any] = [
            model.vision(torch.from_numpy(pixels_BHWC[start : start + _BATCH])).float().numpy()
            for start in range(0, len(pixels_BHWC), _BATCH)
        ]
    embeddings_BD: Embeddings = np.concatenate(rows)
    return embeddings_BD


def _opened(folder: Path, runtime: str | None) -> Runtime:
    options = options_from({}, folder)
    if runtime == "onnxruntime":
        options = RuntimeOptions(runtime="onnxruntime", precision="f32")
    return open_runtime(model_file(folder, options), options)


def _unit(rows_BD: NDArray[Any]) -> Embeddings:
    """As the server does with what a half-precision runtime gives."""
    unit_BD: Embeddings = (rows_BD / np.linalg.norm(rows_BD, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit_BD
