"""The stages without any server around them: what the machine can do.

    decode       JPEG bytes to pixels, a thread a core
    encode       pixels to embeddings, batches of 32, by the runtime that the model repository says
    encode_fp32  the same by ONNX Runtime in fp32: what peers do
    search       embeddings to tags, batches of 32

The limit of the machine is all stages one after the other, 1 / (1/decode + 1/encode + 1/search):
each has every core, so nothing that does this work on these cores can pass it. gRPC, the client and
any waiting come on top.

Shapes: B pictures, H W C, N tags, D dimensions.
"""

import asyncio
import itertools
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.tagger import TagMatrix
from benchmarks.speed.tags import ServedModel
from inkling_server import images
from inkling_server.model_manifest import load_manifest
from inkling_server.runtimes import RuntimeOptions, model_file, open_runtime, options_from
from inkling_server.tag_index import SearchThread, Selection, TagIndex

BATCH = 32
CORES = len(os.sched_getaffinity(0))
STAGES = ("decode", "encode", "search")
_PARAMETER = re.compile(r'key:\s*"(\w+)"\s*value\s*\{\s*string_value:\s*"([^"]*)"')


def machine_limit(rates: dict[str, float]) -> float:
    """Pictures a second that pass decode, encode and search one after the other."""
    return 1 / sum(1 / rates[stage] for stage in STAGES)


def rate_of(step: Callable[[], int], seconds: float) -> float:
    """Calls `step`, which returns how many pictures it did, for about `seconds`."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += step()
    return done / (time.perf_counter() - start)


def served_options(model_repository: Path, version: Path) -> RuntimeOptions:
    """How the repository's config.pbtxt and the version's own file have the encoder run."""
    text = (model_repository / "vision_encoder" / "config.pbtxt").read_text(encoding="utf-8")
    return options_from(dict(_PARAMETER.findall(text)), version)


class BareLoops:
    """The loops over the same pictures and tags as the servers'."""

    def __init__(
        self,
        pictures: Sequence[bytes],
        model_repository: Path,
        model: ServedModel,
        *,
        fp32: Path | None = None,
    ) -> None:
        """`fp32`: the ONNX file for ONNX Runtime; None: the served one."""
        self._manifest = load_manifest(model_repository)
        self._limits = images.ImageLimits()
        self._pool = ThreadPoolExecutor(CORES)
        self._pictures = list(pictures)
        batch = [self._decode(p) for p in itertools.islice(itertools.cycle(pictures), BATCH)]
        self._pixels_BHWC = np.stack(batch)
        folder = model.onnx.parent
        options = served_options(model_repository, folder)
        self._served = open_runtime(model_file(folder, options), options)
        plain = RuntimeOptions(runtime="onnxruntime", precision="f32")
        self._fp32 = open_runtime(fp32 or model.onnx, plain)
        self._matrix = TagMatrix.load(model.tags)
        self.runtime = f"{options.runtime} {options.precision}"
        self.encode()
        self.encode_fp32()

    def _decode(self, picture: bytes) -> NDArray[np.uint8]:
        return images.decode(picture, self._manifest.image, self._limits)

    def decode(self) -> int:
        return sum(1 for _ in self._pool.map(self._decode, self._pictures))

    def decode_rate(self, pictures: Sequence[bytes], seconds: float) -> float:
        """Pictures a second of other pictures."""
        return rate_of(lambda: sum(1 for _ in self._pool.map(self._decode, pictures)), seconds)

    def encode(self) -> int:
        return len(self._served.run({"pixels": self._pixels_BHWC}))

    def encode_fp32(self) -> int:
        return len(self._fp32.run({"pixels": self._pixels_BHWC}))

    def rates(self, seconds: float) -> dict[str, float]:
        """Each loop for about `seconds` (search: a quarter).

        "cpu_ms_per_picture" is the processor time of decode, encode and search together.
        """
        found: dict[str, float] = {}
        cpu_ms = 0.0
        for name in (*STAGES, "encode_fp32"):
            used_s, start = time.process_time(), time.perf_counter()
            if name == "search":
                found[name] = asyncio.run(self._search_rate(seconds / 4))
            else:
                found[name] = rate_of(getattr(self, name), seconds)
            done = found[name] * (time.perf_counter() - start)
            if name in STAGES:
                cpu_ms += (time.process_time() - used_s) * 1000 / done
        return found | {"cpu_ms_per_picture": cpu_ms}

    async def _search_rate(self, seconds: float) -> float:
        embeddings_ND = np.ascontiguousarray(self._matrix.rows_NE[:, :-1])
        with SearchThread() as thread:
            index = await TagIndex.build(
                thread,
                embeddings_ND,
                np.zeros(len(embeddings_ND), np.float64),
                scale=self._matrix.scale,
                bias=0.0,
                offsets_N=self._matrix.rows_NE[:, -1].astype(np.float64),
            )
            queries_BD = embeddings_ND[:BATCH]
            selections = [Selection(self._matrix.top_n, self._matrix.min_score)] * BATCH
            done, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds:
                await index.search(queries_BD, selections)
                done += BATCH
            return done / (time.perf_counter() - start)
