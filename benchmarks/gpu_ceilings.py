"""What this GPU can do at most, measured: the shares of all other sections are of these.

matmul   8192 x 8192 x 8192 in bfloat16 and float16, on random data (zeros run faster)
copy     device to device, bytes read plus bytes written
to GPU   uint8 batches of pictures from pageable and from pinned memory; and embeddings back
"""

from typing import Any

import torch

from benchmarks.gpu_timing import device, on_gpu, seconds_of, wall_seconds_of

_SIDE = 224


def measure(*, small: bool) -> dict[str, Any]:
    """All ceilings: TFLOP/s, TB/s, GB/s."""
    order = 256 if small else 8192
    results: dict[str, Any] = {"matmul_order": order}
    for dtype in (torch.bfloat16, torch.float16):
        a, b = (torch.randn(order, order, device=device(), dtype=dtype) for _ in range(2))
        out = torch.empty_like(a)

        def multiply(a: Any = a, b: Any = b, out: Any = out) -> None:
            torch.mm(a, b, out=out)

        name = str(dtype).removeprefix("torch.")
        results[f"matmul_{name}_tflops"] = 2 * order**3 / seconds_of(multiply) / 1e12
    results["copy_tbps"] = _copy_tbps(1 << (20 if small else 31))
    results["host_to_device_gbps"] = _transfers(small=small)
    return results


def _copy_tbps(byte_count: int) -> float:
    source = torch.randint(0, 256, (byte_count,), device=device(), dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * byte_count / seconds_of(lambda: target.copy_(source)) / 1e12


def _transfers(*, small: bool) -> dict[str, dict[str, float]]:
    """GB/s by number of pictures, from two kinds of memory."""
    rates: dict[str, dict[str, float]] = {"pageable": {}, "pinned": {}}
    for rows in (1, 2) if small else (1, 16, 64, 256):
        pixels = torch.randint(0, 256, (rows, _SIDE, _SIDE, 3), dtype=torch.uint8)
        there = torch.empty_like(pixels, device=device())
        for kind in rates:
            here = pixels.pin_memory() if kind == "pinned" and on_gpu() else pixels

            def send(here: Any = here, there: Any = there) -> None:
                there.copy_(here)
                if on_gpu():
                    torch.cuda.synchronize()

            seconds = wall_seconds_of(send, spans=3, span_s=0.02)
            rates[kind][str(rows)] = pixels.numel() / seconds / 1e9
    return rates
