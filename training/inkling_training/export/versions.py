"""Writes one version of a pairwise model into a Triton model repository, and proves it first.

    LoadedModel ─► graphs ─► variant ─► (TensorRT) ─► parity with torch ─► manifest ─► version

A version below its precision's floor is not written. This module does not know where models come
from, nor the command line.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from inkling_training.export import graphs, parity, repository, tensorrt, variants
from inkling_training.export.parity import ParityFailed, ParityReport
from inkling_training.export.provisional import NOTE, provisional_calibration
from inkling_training.export.samples import Samples, make_samples
from inkling_training.export.variants import FLOORS, Precision, Target, Variant
from inkling_training.models.loaded import LoadedModel

__all__ = ["ExportReport", "ParityFailed", "write_version"]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written.

    Attributes:
        name, version, fingerprint: as answers call the model.
        vision, text: the version's folders.
        parity: what `vision`/parity.json holds.
        byte_count: of both folders.
        seconds: that everything took.
        notes: what the caller should know, in words.
    """

    name: str
    version: int
    fingerprint: str
    vision: Path
    text: Path
    parity: ParityReport
    byte_count: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def model_version(self) -> str:
        """What answers call this model."""
        return f"{self.name}:{self.version}:{self.fingerprint}"

    def __str__(self) -> str:
        size = f"{self.byte_count / 1e6:.1f} MB in {self.seconds:.0f} s"
        return "\n".join([str(self.parity), *self.notes, f"{self.model_version} ({size})"])


def write_version(
    model: LoadedModel,
    out: Path,
    *,
    version: int | None = None,
    target: Target = "onnxruntime",
    precision: Precision = "fp16",
    int8_words: bool = False,
    pictures: tuple[bytes, ...] = (),
    texts: tuple[str, ...] = (),
    graph: Path | None = None,
    replace: bool = False,
    allow_drift: bool = False,
    provisional: bool = False,
) -> ExportReport:
    """Exports a model as one version; a running Triton sees it whole or not at all.

    Args:
        model: what to export.
        out: the model repository; made where it is missing.
        version: default: the next free number.
        target: what the files are made for.
        precision: see `variants`.
        int8_words: the word table as int8; see `variants`.
        pictures: encoded pictures for parity; OpenVINO's int8 is calibrated on every other one, and
            compared on the rest.
        texts: phrases for parity; default: the graph's.
        graph: folder of graph snapshots; default: the graph that ships.
        replace: `version` may exist already.
        allow_drift: write it even below the floor of its precision.
        provisional: write a calibration from the model's own loss, marked as such.

    Raises:
        ParityFailed: below the floor; nothing was written.
        RepositoryMismatch: `out` serves models of other sizes.
        FileExistsError: there is such a version.
        ValueError: no such variant, or what it needs was not given.
    """
    started_s = time.monotonic()
    variant = Variant(target, precision, int8_words)
    side, spec = model.image.size, model.text_spec
    repository.require_fit(out, side, model.dimension)
    number = version if version is not None else repository.next_version(out)
    samples = make_samples(pictures, texts, graph=graph)
    calibrating = samples
    if target == "openvino" and precision == "int8":
        calibrating, samples = samples.halves()
    with repository.drafted(out, number, replace=replace) as draft:
        reference = parity.reference_of(model, samples)
        calibration_BHWC = calibrating.pixels(model.image)
        notes = [
            f"vision: {variants.write_vision(model, draft.vision, variant, calibration_BHWC)}",
            f"text: {variants.write_text(model, draft.text, variant)}",
        ]
        repository.write_tokenizer(model.tokenizer, spec, draft.text / "tokenizer.json")
        configs = ["onnxruntime"]
        if target == "tensorrt":
            configs += ["tensorrt_onnx"]
            notes.append(_build_engines(draft, side, spec.max_tokens, precision, out))
            if (draft.text / tensorrt.ENGINE).is_file():
                configs += ["tensorrt"]
        agreed = _compare(model, draft, variant, samples, reference)
        if problems := agreed.problems():
            message = f"{model.name} as {target} {precision}: " + "; ".join(problems)
            if not allow_drift:
                raise ParityFailed(f"{message}. Nothing was written.\n{agreed}")
            notes.append(f"WRITTEN BELOW THE FLOOR: {message}")
        report = {"target": target, "precision": precision, "source": model.source, "notes": notes}
        repository.write_json(draft.vision / "parity.json", report | agreed.document())
        fingerprint = repository.write_manifest(
            draft, model.name, model.image, spec, model.dimension
        )
        if provisional:
            cosines_BV = reference.pictures_BD @ reference.phrases_VD.T
            calibration = provisional_calibration(
                model, cosines_BV, samples.vocabulary, fingerprint
            )
            repository.write_calibration(draft, calibration)
            notes.append(NOTE)
        size = draft.byte_count()
        repository.write_configs(
            out, side, model.dimension, rows=_most_rows(model), names=tuple(configs)
        )
    return ExportReport(
        name=model.name,
        version=number,
        fingerprint=fingerprint,
        vision=out / repository.VISION / str(number),
        text=out / repository.TEXT / str(number),
        parity=agreed,
        byte_count=size,
        seconds=time.monotonic() - started_s,
        notes=tuple(notes),
    )


def _most_rows(model: LoadedModel) -> tuple[int, int]:
    halves = (graphs.vision_module(model), graphs.text_module(model))
    return repository.most_rows(*(graphs.flops_per_row(*half) for half in halves))


def _compare(
    model: LoadedModel,
    draft: repository.Draft,
    variant: Variant,
    samples: Samples,
    reference: parity.Reference,
) -> ParityReport:
    """By what serves the version, and by ONNX Runtime, which may serve model.onnx anywhere."""
    runtimes: list[str | None] = [None, "onnxruntime"]
    agreements = {
        agreement.runtime: agreement
        for agreement in (
            parity.agreement_of(
                draft.vision, draft.text, model.text_spec, samples, reference, runtime
            )
            for runtime in runtimes
        )
    }
    return ParityReport(
        floor=FLOORS[variant.precision],
        picture_count=len(samples.pictures),
        phrase_count=len(samples.phrases),
        given_pictures=samples.given,
        top_n=parity.TOP_N,
        agreements=tuple(agreements.values()),
        decoding=parity.decoding_of(model, samples, reference),
    )


def _build_engines(
    draft: repository.Draft, side: int, max_tokens: int, precision: str, out: Path
) -> str:
    cache = out / ".tensorrt_timing_cache"
    try:
        tensorrt.build_engine(
            draft.vision / "model.onnx", tensorrt.vision_profile(side), precision, cache
        )
        tensorrt.build_engine(
            draft.text / "model.onnx", tensorrt.text_profile(max_tokens), precision, cache
        )
    except tensorrt.EngineNotBuilt as error:
        for folder in (draft.vision, draft.text):
            (folder / tensorrt.ENGINE).unlink(missing_ok=True)
            (folder / tensorrt.NOTE).unlink(missing_ok=True)
        return (
            f"NO TENSORRT ENGINE: {error}. model.onnx serves instead: --model-config-name="
            "tensorrt_onnx has TensorRT build its engines when Triton loads it"
        )
    return f"TensorRT engines for {tensorrt.this_gpu()}, not compared with torch"
