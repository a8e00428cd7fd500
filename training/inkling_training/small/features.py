"""Caches what the frozen part of the backbone makes of the pictures, so that the rest trains fast.

    python -m inkling_training.small.features --data DATA --vision NAME_OR_DIR --out CACHE --views 6

View 0 is the picture as the server sees it, view 1 the other fit, and the further ones are random
variations (`augment`). One memory-mapped float16 array [N, h, w, C] a view, rows in the order of
`load_records`; a finished view is never computed again, and a cache of other pictures or of another
cut is refused. OpenVINO runs the trunk: with bfloat16 it is several times as fast as torch on a
CPU. Nothing here knows tags.

Legend: N pictures, B batch, h x w cells, C channels; a view is one way to cut and colour every
picture.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import cv2
import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from torch import nn

from inkling_server.model_manifest import PixelSpec
from inkling_training.augment.pictures import augmented
from inkling_training.data import Record, load_records, sample_data_dir
from inkling_training.pixels import pixels_of
from inkling_training.vision_tower import load_vision_tower, split_tower

BATCH = 16
FROZEN_BLOCKS = -3  # all but the last three: EfficientNet-Lite1's maps are 7 x 7 x 192 there


class OtherCache(ValueError):
    """The cache holds other pictures, or features of another cut."""


def extract(trunk: nn.Module, records: Sequence[Record], view: int, size: int, path: Path) -> None:
    """Writes one view's feature maps [N, h, w, C] to `path`, atomically."""
    workers = len(os.sched_getaffinity(0))
    model = compile_trunk(trunk, size)
    requests: SimpleQueue[openvino.InferRequest] = SimpleQueue()
    for _ in range(workers):
        requests.put(model.create_infer_request())

    def features_of(rows: range) -> NDArray[np.float16]:
        pixels_BHWC = np.stack([_view(records[row], row, view, size) for row in rows])
        request = requests.get()
        try:
            return np.asarray(request.infer([pixels_BHWC])[0], dtype=np.float16)
        finally:
            requests.put(request)

    batches = [
        range(start, min(start + BATCH, len(records))) for start in range(0, len(records), BATCH)
    ]
    assert batches, "no records"
    draft = path.with_suffix(".draft")
    out = None
    started = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        for rows, features_BHWC in zip(batches, pool.map(features_of, batches), strict=True):
            if out is None:
                shape = (len(records), *features_BHWC.shape[1:])
                out = np.lib.format.open_memmap(draft, mode="w+", dtype=np.float16, shape=shape)
            out[rows[0] : rows[-1] + 1] = features_BHWC
            if rows.start // BATCH % 250 == 249:
                pace = rows.stop / (time.monotonic() - started)
                print(f"view {view}: {rows.stop} pictures, {pace:.0f}/s", flush=True)
    assert out is not None
    out.flush()
    draft.rename(path)


def compile_trunk(trunk: nn.Module, size: int) -> openvino.CompiledModel:
    """The trunk as an OpenVINO model for this CPU, uint8 [B, size, size, 3] -> [B, h, w, C]."""
    example = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    model = openvino.convert_model(trunk, example_input=example)
    model.reshape([-1, size, size, 3])
    return openvino.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})


def open_view(cache: Path, view: int) -> NDArray[np.float16]:
    """One view's feature maps [N, h, w, C], memory-mapped read-only."""
    features: NDArray[np.float16] = np.load(view_path(cache, view), mmap_mode="r")
    return features


def view_path(cache: Path, view: int) -> Path:
    """Where a view's array lies."""
    return cache / f"view-{view}.npy"


def require_same(cache: Path, records: Sequence[Record], vision: str, blocks: int) -> None:
    """Notes in a new cache what it is made of; refuses one that is made of something else.

    Raises:
        OtherCache: naming what differs.
    """
    keys = "\n".join(record.key for record in records)
    made_of = {
        "pictures": len(records),
        "keys": hashlib.sha256(keys.encode()).hexdigest()[:16],
        "vision": Path(vision).name,
        "frozen blocks": blocks,
    }
    note = cache / "made_of.json"
    if not note.exists():
        cache.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(made_of, indent=2) + "\n", encoding="utf-8")
        return
    found = json.loads(note.read_text(encoding="utf-8"))
    other = [name for name, value in made_of.items() if found.get(name) != value]
    if other:
        raise OtherCache(f"{cache.name} was made with other {', '.join(other)}: use a new folder")


def _view(record: Record, row: int, view: int, size: int) -> NDArray[np.uint8]:
    if view == 0:
        return pixels_of(record.picture, PixelSpec(size, "squash"))
    if view == 1:
        return pixels_of(record.picture, PixelSpec(size, "crop"))
    return augmented(record.picture, size, np.random.default_rng([view, row]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="sample data (default: found by itself)"
    )
    parser.add_argument("--vision", required=True, help="hub name or directory")
    parser.add_argument("--out", type=Path, required=True, help="cache folder")
    parser.add_argument("--views", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument(
        "--frozen-blocks", type=int, default=FROZEN_BLOCKS, help="negative: all but so many"
    )
    args = parser.parse_args(arguments)

    cv2.setNumThreads(1)
    records = load_records(args.data or sample_data_dir())
    require_same(args.out, records, args.vision, args.frozen_blocks)
    trunk, _ = split_tower(load_vision_tower(args.vision), args.frozen_blocks)
    for view in range(args.views):
        if not view_path(args.out, view).exists():
            extract(trunk.eval(), records, view, args.size, view_path(args.out, view))


if __name__ == "__main__":
    main()
