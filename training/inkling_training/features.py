"""Caches what the frozen backbone sees, so that heads train in minutes.

    python -m inkling_training.features --data DATA --vision NAME_OR_DIR --out CACHE --views 3

View 0 is the picture as the server sees it, view 1 the other fit, and the further ones are random
crops with flips and colour changes. One memory-mapped float16 array [N, P, C] a view, rows in the
order of `load_records`; a finished view is never computed again. OpenVINO runs the backbone: with
bfloat16 it is several times as fast as torch on a CPU. Nothing here knows tags.

Legend: N pictures, B batch, P regions, C channels; a view is one way to cut and colour every
picture.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import openvino
import torch
from numpy.typing import NDArray

from inkling_server.model_manifest import PixelSpec
from inkling_training.data import Record, load_records, sample_data_dir
from inkling_training.pixels import augmented, pixels_of
from inkling_training.vision_tower import VisionTower, load_vision_tower

BATCH = 32


def extract(tower: VisionTower, records: list[Record], view: int, size: int, path: Path) -> None:
    """Writes one view's features [N, P, C] to `path`, atomically."""
    model = compile_tower(tower, size)
    draft = path.with_suffix(".draft")
    out = None
    started, done = time.monotonic(), 0
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(records), BATCH):
            rows = range(start, min(start + BATCH, len(records)))
            pixels_BHWC = np.stack(
                list(pool.map(lambda row: _view(records[row], row, view, size), rows))
            )
            features_BPC = model(pixels_BHWC)[0]
            if out is None:
                shape = (len(records), *features_BPC.shape[1:])
                out = np.lib.format.open_memmap(draft, mode="w+", dtype=np.float16, shape=shape)
            out[rows[0] : rows[-1] + 1] = features_BPC
            done += len(rows)
            if start // BATCH % 100 == 99:
                print(
                    f"view {view}: {done} pictures, {done / (time.monotonic() - started):.0f}/s",
                    flush=True,
                )
    assert out is not None, "no records"
    out.flush()
    draft.rename(path)


def compile_tower(tower: VisionTower, size: int) -> openvino.CompiledModel:
    """The tower as an OpenVINO model for this CPU, uint8 [B, size, size, 3] -> [B, P, C]."""
    example = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    model = openvino.convert_model(tower, example_input=example)
    model.reshape([-1, size, size, 3])
    return openvino.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})


def open_view(cache: Path, view: int) -> NDArray[np.float16]:
    """One view's features [N, P, C], memory-mapped read-only."""
    features: NDArray[np.float16] = np.load(view_path(cache, view), mmap_mode="r")
    return features


def view_path(cache: Path, view: int) -> Path:
    """Where a view's array lies."""
    return cache / f"view-{view}.npy"


def _view(record: Record, row: int, view: int, size: int) -> NDArray[np.uint8]:
    if view == 0:
        return pixels_of(record.picture, PixelSpec(size, "squash"))
    if view == 1:
        return pixels_of(record.picture, PixelSpec(size, "crop"))
    return augmented(record.picture, size, np.random.default_rng([view, row]))


def main() -> None:
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
    args = parser.parse_args()

    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    records = load_records(args.data or sample_data_dir())
    (args.out / "keys.json").write_text(json.dumps([record.key for record in records]))
    tower = load_vision_tower(args.vision)
    for view in range(args.views):
        if not view_path(args.out, view).exists():
            extract(tower, records, view, args.size, view_path(args.out, view))


if __name__ == "__main__":
    main()
