"""Where should JPEGs be decoded: on this machine's processors, or on its GPU?

    CPU      `inkling_server.images.decode`, one thread a core: scaled decoding, then area resize
    nvJPEG   torchvision's `decode_jpeg(device="cuda")` of whole batches, then an antialiased resize
             on the GPU; files come from the host, pixels stay on the GPU

The same 640 x 480 pictures. Memory that a batch of decoded pictures takes on the GPU is not counted
against it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_timing import on_gpu, wall_seconds_of
from inkling_server import images
from inkling_server.model_manifest import PixelSpec

SIDE = 224
_BATCHES = (1, 16, 64, 128)


def measure(*, small: bool, pictures: list[bytes]) -> dict[str, Any]:
    """Pictures a second: CPU by number of threads, nvJPEG by batch size."""
    spec, limits = PixelSpec(size=SIDE), images.ImageLimits()
    cores = len(os.sched_getaffinity(0))
    result: dict[str, Any] = {"cores": cores, "cpu": {}, "nvjpeg": {}}
    many = pictures[:2] if small else pictures * 4

    def decode(picture: bytes) -> Any:
        return images.decode(picture, spec, limits)

    for threads in sorted({1, cores // 2 or 1, cores}):
        with ThreadPoolExecutor(threads) as pool:
            part = many[: max(2, 16 * threads)]

            def run(pool: Any = pool, part: Any = part) -> None:
                list(pool.map(decode, part))

            seconds = wall_seconds_of(run, spans=3, span_s=0.5)
        result["cpu"][str(threads)] = len(part) / seconds
    if not on_gpu():
        return result
    try:
        result["nvjpeg"] = _nvjpeg(pictures)
    except Exception as error:
        result["nvjpeg_failed"] = f"{type(error).__name__}: {error}"[:400]
    return result


def _nvjpeg(pictures: list[bytes]) -> dict[str, float]:
    from torchvision.io import (  # type: ignore[import-not-found,unused-ignore]
        ImageReadMode,
        decode_jpeg,
    )

    files = [torch.from_numpy(np.frombuffer(picture, np.uint8).copy()) for picture in pictures]
    rates = {}
    for batch in _BATCHES:
        part = (files * (1 + batch // len(files)))[:batch]

        def decode(part: Any = part) -> None:
            whole = decode_jpeg(part, mode=ImageReadMode.RGB, device="cuda")
            pixels_BCHW = torch.stack(whole).half()
            torch.nn.functional.interpolate(
                pixels_BCHW, (SIDE, SIDE), mode="bilinear", antialias=True
            ).round().to(torch.uint8)
            torch.cuda.synchronize()

        rates[str(batch)] = batch / wall_seconds_of(decode, spans=3, span_s=0.3)
    return rates
