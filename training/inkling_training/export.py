"""Writes a trained model as the two ONNX files, the tokenizer and the manifest that the server
reads.

    python -m inkling_training.export --run RUN --vision NAME_OR_DIR --text NAME_OR_DIR --out
    model_repository

The graphs take uint8 pixels [B, S, S, 3] and int64 tokens [B, L], and hold scale, normalisation
and projection; only standard operators, opset 20 (fused Gelu). Weights are stored in half or a
quarter of the bytes (`shrink_weights`); arithmetic stays float. Each file is held against torch
before it counts (`PARITY`). This module does not know data or losses.

Legend: B rows, S side in pixels, L tokens, D dimensions.
"""

import argparse
import hashlib
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from torch import Tensor, nn

from inkling_server.model_manifest import PixelSpec, TextSpec
from inkling_training.heads import ConseHead
from inkling_training.text_tower import (
    MAX_TOKENS,
    label_texts,
    load_text_tower,
    pool_texts,
    tokenize,
)
from inkling_training.vision_tower import load_vision_tower

PARITY = 0.999
OPSET = 20
NAME_SHARE = 0.2
_SMALLEST_WEIGHT = 4096  # elements; below that int8 saves nothing worth its error


class PairwiseVision(nn.Module):
    """Pixels to embedding, whole: what gets exported."""

    def __init__(self, tower: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.tower, self.head = tower, head

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 [B, S, S, 3] -> float32 [B, D]."""
        embedding: Tensor = self.head(self.tower(pixels))
        return embedding


def export_vision(model: nn.Module, size: int, path: Path) -> float:
    """Writes the vision graph; returns the least cosine against torch on random pictures."""
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    _to_onnx(model, (example,), path, {"pixels": {0: "batch"}})
    shrink_weights(path, int8=False)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 7, 7, 3), dtype=np.uint8)
    cell_S = np.arange(size) * 7 // size
    pixels_BHWC = np.ascontiguousarray(coarse[:, cell_S][:, :, cell_S])
    with torch.inference_mode():
        wanted_BD = model(torch.from_numpy(pixels_BHWC)).numpy()
    return _least_cosine(wanted_BD, run(path, {"pixels": pixels_BHWC}))


def export_text(tower: nn.Module, tokens: tuple[Tensor, Tensor], path: Path) -> float:
    """Writes the text graph in few bytes; returns the least cosine against torch on `tokens`."""
    axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}
    _to_onnx(tower, tokens, path, axes)
    shrink_weights(path, int8=True)
    with torch.inference_mode():
        wanted_BD = tower(*tokens).numpy()
    feeds = {"input_ids": tokens[0].numpy(), "attention_mask": tokens[1].numpy()}
    return _least_cosine(wanted_BD, run(path, feeds))


def run(path: Path, feeds: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """The `embedding` that ONNX Runtime computes from a file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    embedding: NDArray[np.float32] = session.run(["embedding"], feeds)[0]
    return embedding


def shrink_weights(path: Path, *, int8: bool) -> None:
    """Stores a graph's large float weights in fewer bytes, in place; arithmetic stays float32.

    With `int8`, embedding tables (half of a small text model) become int8 with one scale a row;
    everything else becomes float16. Matrices in int8 too would halve the rest, but they cost more
    than the parity allows.
    """
    model = onnx.load(path)
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    weights, restore = [], []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _SMALLEST_WEIGHT:
            weights.append(weight)
        elif int8 and weight.name in tables:
            stored = [f"{weight.name}_int8", f"{weight.name}_scale"]
            scales = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-12) / np.float32(127)
            rounded = np.round(values / scales).astype(np.int8)
            weights.append(numpy_helper.from_array(rounded, stored[0]))
            weights.append(numpy_helper.from_array(scales.ravel(), stored[1]))
            restore.append(helper.make_node("DequantizeLinear", stored, [weight.name], axis=0))
        else:
            name = f"{weight.name}_half"
            weights.append(numpy_helper.from_array(values.astype(np.float16), name))
            restore.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
    nodes = [*restore, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(weights)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_tokenizer(tokenizer: Any, path: Path) -> None:
    """Saves a fast tokenizer that cuts at MAX_TOKENS and pads to the longest of a batch."""
    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.enable_truncation(MAX_TOKENS)
    plain.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    plain.save(str(path), pretty=False)


def write_manifest(
    repository: Path, version: int, name: str, image: PixelSpec, text_spec: TextSpec, dimension: int
) -> str:
    """Writes manifest.json; returns the fingerprint of all files that answers depend on."""
    vision, text = (repository / kind / str(version) for kind in ("vision_encoder", "text_encoder"))
    digest = hashlib.sha256()
    for path in (vision / "model.onnx", text / "model.onnx", text / "tokenizer.json"):
        digest.update(path.read_bytes())
    fingerprint = digest.hexdigest()[:16]
    manifest = {
        "name": name,
        "version": version,
        "fingerprint": fingerprint,
        "dimension": dimension,
        "image": asdict(image),
        "text": asdict(text_spec),
    }
    (vision / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return fingerprint


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, help="folder that `train` wrote")
    parser.add_argument("--vision", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", type=Path, required=True, help="model repository")
    parser.add_argument("--version", type=int, default=1)
    parser.add_argument("--name", default="inkling-small")
    parser.add_argument("--size", type=int, default=224)
    args = parser.parse_args()

    saved = torch.load(args.run / "checkpoint.pt")["modules"]
    dimension, width = saved["projection.weight"].shape
    tower = load_vision_tower(args.vision)
    assert tower.classifier is not None, f"{args.vision} has no classifier: ConSE needs one"
    head = ConseHead(tower.classifier, torch.zeros(tower.classifier.out_features, dimension))
    head.load_state_dict(part(saved, "head."))
    tower.classifier = None  # the head has its own copy
    text, tokenizer = load_text_tower(args.text, dimension)
    assert text.projection.in_features == width, (
        f"{args.text} is not the text model of {args.run.name}"
    )
    text.projection.load_state_dict(part(saved, "projection."))
    recall_names(head, text.project(pool_texts(text, tokenizer, label_texts(tower.classes))))

    vision_folder = args.out / "vision_encoder" / str(args.version)
    text_folder = args.out / "text_encoder" / str(args.version)
    examples = [names.split(", ")[0] for names in tower.classes]
    parity = {
        "vision": export_vision(
            PairwiseVision(tower, head), args.size, vision_folder / "model.onnx"
        ),
        "text": export_text(text, tokenize(tokenizer, examples), text_folder / "model.onnx"),
    }
    write_tokenizer(tokenizer, text_folder / "tokenizer.json")
    print(json.dumps({"least cosine against torch": parity}))
    failed = {kind: cosine for kind, cosine in parity.items() if cosine < PARITY}
    if failed:
        raise SystemExit(f"parity below {PARITY}: {failed}")
    pixels = PixelSpec(args.size, "squash")
    words = TextSpec(MAX_TOKENS, pad_id=tokenizer.pad_token_id)
    fingerprint = write_manifest(args.out, args.version, args.name, pixels, words, dimension)
    print(f"{args.name}:{args.version}:{fingerprint}")


@torch.no_grad()
def recall_names(head: ConseHead, names_KD: Tensor, share: float = NAME_SHARE) -> None:
    """Adds a share of each label's plain name to what training made of it.

    Training bends labels towards their interests, and forgets some of what tells unseen classes
    apart; a mixture with the start keeps both (as in Wortsman et al., "Robust fine-tuning of
    zero-shot models", 2022). Labels that have no say keep none.
    """
    has_say_K1 = (head.labels_KD.abs().sum(dim=1, keepdim=True) > 0).to(names_KD.dtype)
    head.labels_KD.add_(share * has_say_K1 * names_KD)


def part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries of a state whose names start with `prefix`, without it."""
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def _to_onnx(
    model: nn.Module, example: tuple[Tensor, ...], path: Path, axes: dict[str, dict[int, str]]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode(), warnings.catch_warnings():
        # The older exporter writes fewer and plainer nodes; it warns of its age, and of every shape
        # that it takes as fixed. `PARITY` and the runtimes' own checks judge the result.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            example,
            path,
            input_names=list(axes),
            output_names=["embedding"],
            dynamic_axes=axes | {"embedding": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )


def _least_cosine(wanted_BD: NDArray[np.float32], found_BD: NDArray[np.float32]) -> float:
    return float((wanted_BD * found_BD).sum(axis=1).min())


if __name__ == "__main__":
    main()
