"""Models of the hub, exported, behind a real Triton: the same answers as transformers, and tags."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from inkling_server.model_manifest import load_manifest
from inkling_server.triton import TritonServer
from inkling_server.triton.encoder import TritonEncoder
from inkling_training.export import write_version
from inkling_training.models.sources import load_source
from tests.server_process import ServerProcess
from tests.training.export.by_transformers import images_by_transformers, texts_by_transformers
from tests.training.export.tiny_duals import PHRASES, SAVERS, pictures

pytestmark = [pytest.mark.triton, pytest.mark.training]

PARITY = 0.9999
TEMPLATE = "a photo of {}"


def export(folder: Path, out: Path, targets: Sequence[str]) -> None:
    """One version for each target, all exact."""
    model = load_source(folder, template=TEMPLATE)
    for target in targets:
        write_version(
            model,
            out,
            target=target,  # type: ignore[arg-type]
            precision="fp32",
            texts=tuple(PHRASES),
            provisional=True,
        )


@pytest.mark.parametrize("kind", ["clip", "siglip"])
async def test_triton_answers_like_transformers(kind: str, tmp_path: Path) -> None:
    folder, out = SAVERS[kind](tmp_path / kind), tmp_path / "models"
    export(folder, out, ["onnxruntime", "openvino"])
    pixels_BHWC = pictures(5)
    wanted_pictures_BD = images_by_transformers(folder, pixels_BHWC)
    wanted_texts_BD = texts_by_transformers(folder, [TEMPLATE.format(one) for one in PHRASES])
    async with await TritonServer.start(out, tmp_path / "data") as server:
        for version in (1, 2):
            encoder = await TritonEncoder.connect(
                server.address, out, load_manifest(out, version), shared_memory=True
            )
            try:
                pictures_BD = await encoder.encode_images(pixels_BHWC, timeout_s=30)
                texts_BD = await encoder.encode_texts(PHRASES, timeout_s=30)
            finally:
                await encoder.close()
            assert np.sum(pictures_BD * wanted_pictures_BD, axis=1).min() >= PARITY
            assert np.sum(texts_BD * wanted_texts_BD, axis=1).min() >= PARITY


def test_server_tags_with_an_exported_siglip(tmp_path: Path) -> None:
    out = tmp_path / "models"
    export(SAVERS["siglip"](tmp_path / "siglip"), out, ["openvino"])
    file = io.BytesIO()
    Image.fromarray(pictures(1)[0]).save(file, "PNG")
    with ServerProcess(tmp_path / "data", f"--model-repository={out}") as server:
        server.wait_serving()
        stub = tagging_pb2_grpc.TaggingServiceStub(server.channel)
        answer = stub.Tag(tagging_pb2.TagRequest(image=file.getvalue()), timeout=20)
    assert answer.model_version == load_manifest(out).model_version
    assert len(answer.tags) == 5
