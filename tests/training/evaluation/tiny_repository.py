"""A model repository that is right by construction, made without training: colour words.

The vision graph gives the mean colour of a picture, the text graph the colour of its words; both
minus grey, at length 1. So a red picture is nearest to "red ball" among balls.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper, save
from pydantic import TypeAdapter
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from inkling_server.interests.graph import Interest, make_snapshot
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.model_manifest import (
    Calibration,
    ModelManifest,
    OperatingPoint,
    PixelSpec,
    TextSpec,
)
from tests.training.evaluation import small

GREY = 110.0
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 200, 50),
    "blue": (50, 60, 220),
    "yellow": (220, 210, 40),
}
_SIDE = 16
_OPSET = 20


def write_model(repository: Path, *, blurred: float = 0.0, fingerprint: str = "tiny") -> None:
    """Writes version 1. `blurred` in [0, 1] mixes the colours of words: a worse model."""
    vision, text = (repository / f"{kind}_encoder" / "1" for kind in ("vision", "text"))
    for folder in (vision, text):
        folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", *COLOURS]
    known_WD = np.array([(GREY, GREY, GREY)] * 2 + list(COLOURS.values()), np.float32) - GREY
    known_WD[2:] = (1 - blurred) * known_WD[2:] + blurred * np.roll(known_WD[2:], 1, axis=0)
    known_WD[1] = 1.0  # a word without a colour is grey
    save(_vision_graph(), vision / "model.onnx")
    save(_text_graph(known_WD), text / "model.onnx")
    tokenizer = Tokenizer(WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(text / "tokenizer.json"))
    manifest = ModelManifest(
        "tiny", 1, fingerprint, 3, PixelSpec(_SIDE, "squash"), TextSpec(max_tokens=8)
    )
    calibration = Calibration(
        scale=12.0,
        bias=-9.0,
        prior_weight=0.1,
        prior_cap=0.7,
        prior_smoothing=5.0,
        calibrated_time=datetime(2026, 1, 1, tzinfo=UTC),
        split="",
        ece=0.0,
        recommended=OperatingPoint(2, 0.3, 0.5, 0.5),
    )
    for name, kind, value in (
        ("manifest", ModelManifest, manifest),
        ("calibration", Calibration, calibration),
    ):
        document = TypeAdapter(kind).dump_python(value, mode="json")
        (vision / f"{name}.json").write_text(json.dumps(document))


def write_graph(folder: Path) -> None:
    """One interest a colour, and some that no picture shows."""
    phrases = [*COLOURS, "sport", "music", "travel"]
    interests = [Interest(phrase, phrase, (), 5 + row) for row, phrase in enumerate(phrases)]
    save_snapshot(make_snapshot(interests, datetime(2026, 1, 1, tzinfo=UTC)), folder)


def write_data(folder: Path, pictures: int = 48, seed: int = 0, split: str = "val") -> None:
    """Shards of pictures of nearly one colour; the first source is the one of everyday photos."""
    small.write_shards(folder, COLOURS, pictures, seed, split)


def _vision_graph() -> ModelProto:
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "grey"], ["colour"]),
        helper.make_node("LpNormalization", ["colour"], ["embedding"], axis=-1, p=2),
    ]
    constants = {"axes": np.array([1, 2]), "grey": np.array([GREY], np.float32)}
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", _SIDE, _SIDE, 3])
    return _model(nodes, [pixels], constants)


def _text_graph(known_WD: NDArray[np.float32]) -> ModelProto:
    nodes = [
        helper.make_node("Gather", ["known", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["words", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axes"], ["sum"], keepdims=0),
        helper.make_node("LpNormalization", ["sum"], ["embedding"], axis=-1, p=2),
    ]
    constants = {"known": known_WD, "axes": np.array([1]), "last": np.array([2])}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    return _model(nodes, inputs, constants)


def _model(
    nodes: list[NodeProto], inputs: list[ValueInfoProto], constants: Mapping[str, object]
) -> ModelProto:
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 3])
    stored = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)
