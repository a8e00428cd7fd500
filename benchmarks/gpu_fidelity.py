"""Does float16 on the GPU give inkling-small's tags? Compared with float32 on the CPU.

Pictures are decoded as the server does. Kept tags: of each picture's five best phrases of the graph
(embedded by the float32 text encoder) the share that is among the five best afterwards too.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_encoder_runtime import embed, phrase_batches, tags_kept
from benchmarks.gpu_timing import on_gpu
from inkling_server import cuda_runtime, images
from inkling_server.model_manifest import load_manifest
from inkling_server.runtimes import RuntimeOptions, open_runtime
from inkling_training.export.half import write_half

MODELS = Path(__file__).resolve().parent.parent / "model_repository"
_REFERENCE = RuntimeOptions("onnxruntime", "f32")


def measure(*, small: bool, pictures: list[bytes]) -> dict[str, Any]:
    """Cosines and kept tags of each precision that a GPU offers."""
    manifest = load_manifest(MODELS)
    folders = [MODELS / name / str(manifest.version) for name in ("vision_encoder", "text_encoder")]
    pixels_BSSC = np.stack([images.decode(picture, manifest.image) for picture in pictures])
    phrases = phrase_batches(MODELS, manifest)[: 1 if small else None]
    phrases_VD = embed(open_runtime(folders[1] / "model.onnx", _REFERENCE), phrases)
    wanted_BD = embed(
        open_runtime(folders[0] / "model.onnx", _REFERENCE), [{"pixels": pixels_BSSC}]
    )
    result: dict[str, Any] = {"pictures": len(pictures), "phrases": len(phrases_VD)}
    if not on_gpu():
        cuda_runtime.PROVIDER, cuda_runtime._DEVICE = "CPUExecutionProvider", "cpu"
    with tempfile.TemporaryDirectory() as draft:
        plain = Path(shutil.copy(folders[0] / "model.onnx", draft))
        files = {"f16": write_half(plain), "tf32": plain, "f32": plain}
        for precision, path in files.items():
            runtime = cuda_runtime.CudaRuntime(path, precision, chunk=16, lanes=1)
            found_BD = embed(runtime, [{"pixels": pixels_BSSC}])
            cosines_B = (found_BD * wanted_BD).sum(axis=1)
            result[precision] = {
                "runtime": runtime.description,
                "least_cosine": float(cosines_B.min()),
                "mean_cosine": float(cosines_B.mean()),
                "tags_kept": tags_kept(wanted_BD @ phrases_VD.T, found_BD @ phrases_VD.T),
            }
    return result
