"""Other versions of the model that ships, for tests and benchmarks of rollouts.

    rotated    both encoders' embeddings are turned by the same orthogonal matrix: the same cosines
               as before, and the cosine of one version with another is noise
    misfitted  each encoder by a matrix of its own: it works, and its tags are nonsense

Each has a calibration with another bias, so its scores are its own: an answer with one version's
name and another's scores, or with tags of noise, cannot hide.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from inkling_server.interests.graph import make_snapshot
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.interests.store import GraphStore
from inkling_server.refreshing import SHIPPED_GRAPHS

ENCODERS = ("vision_encoder", "text_encoder")
Kind = Literal["same", "rotated", "misfitted"]


def copy_repository(source: Path, target: Path) -> Path:
    """The model repository with its newest version only, as version 1."""
    newest = max(int(folder.name) for folder in (source / ENCODERS[0]).glob("[0-9]*"))
    for encoder in ENCODERS:
        (target / encoder).mkdir(parents=True)
        for config in (source / encoder).glob("config*"):
            if config.is_file():
                shutil.copy(config, target / encoder)
        shutil.copytree(
            source / encoder / str(newest),
            target / encoder / "1",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    path = target / "vision_encoder" / "1" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | {"version": 1}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return target


def add_version(repository: Path, number: int, kind: Kind, *, bias_change: float = 0.0) -> None:
    """Adds a version made of version 1.

    Args:
        repository: to be changed.
        number: of the new version.
        kind: see the module's docstring; "same": the same weights.
        bias_change: added to the calibration's bias, in logits.
    """
    for place, encoder in enumerate(ENCODERS):
        folder = repository / encoder / str(number)
        shutil.copytree(repository / encoder / "1", folder)
        if kind != "same":
            seed = number + (1000 * place if kind == "misfitted" else 0)
            _rotate(folder / "model.onnx", _orthogonal(seed))
    vision = repository / "vision_encoder" / str(number)
    manifest = json.loads((vision / "manifest.json").read_text(encoding="utf-8"))
    fingerprint = f"{number:016x}"
    manifest |= {"version": number, "fingerprint": fingerprint}
    (vision / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    calibration = json.loads((vision / "calibration.json").read_text(encoding="utf-8"))
    calibration["bias"] += bias_change
    point = calibration["recommended"]
    logit = math.log(point["min_score"] / (1 - point["min_score"])) + bias_change
    point["min_score"] = 1 / (1 + math.exp(-logit))  # the same cosine
    if calibration.get("model_fingerprint"):
        calibration["model_fingerprint"] = fingerprint
    (vision / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")


def small_graph(data_dir: Path, count: int = 300) -> None:
    """Puts the shipped graph's most frequent interests where a server with this folder looks."""
    graph, _ = GraphStore(data_dir / "none", SHIPPED_GRAPHS).load_current()
    most = sorted(graph.interests, key=lambda interest: -interest.count)[:count]
    part = make_snapshot(most, graph.created_time)
    store = GraphStore(data_dir / "graph", SHIPPED_GRAPHS)
    store.make_current(save_snapshot(part, store.root).name)


def _rotate(path: Path, rotation_DD: NDArray[np.float32]) -> None:
    model = onnx.load(str(path))
    graph = model.graph
    name = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["straight" if output == name else output for output in node.output]
    graph.initializer.append(numpy_helper.from_array(rotation_DD, "rotation"))
    graph.node.append(helper.make_node("MatMul", ["straight", "rotation"], [name]))
    onnx.save(model, str(path))


def _orthogonal(seed: int, dimension: int = 256) -> NDArray[np.float32]:
    random_DD = np.random.default_rng(seed).standard_normal((dimension, dimension))
    return np.linalg.qr(random_DD)[0].astype(np.float32)
