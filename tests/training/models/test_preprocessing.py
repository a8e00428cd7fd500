"""preprocessor_config.json: geometry, numbers, and the same squares as transformers' processors."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

from inkling_server.model_manifest import PixelSpec
from inkling_training.models.preprocessing import normalisation, pixel_spec, reference_pixels

pytestmark = pytest.mark.training


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        ({"size": 224, "crop_size": 224}, PixelSpec(224, "crop", 1.0)),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
         PixelSpec(224, "crop", 0.875)),
        ({"size": {"height": 384, "width": 384}}, PixelSpec(384, "squash")),
        ({"size": {"height": 224, "width": 224}, "crop_size": {"height": 224, "width": 224},
          "do_center_crop": True}, PixelSpec(224, "squash")),
        ({"size": {"height": 256, "width": 256}, "crop_size": {"height": 224, "width": 224},
          "do_center_crop": False}, PixelSpec(256, "squash")),
    ],
)  # fmt: skip
def test_geometry(settings: dict[str, Any], spec: PixelSpec) -> None:
    assert pixel_spec(settings) == spec


def test_numbers_are_on_the_scale_of_pixels() -> None:
    usual = normalisation({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]})
    assert usual.mean == pytest.approx((127.5, 102, 76.5))
    assert usual.std == pytest.approx((51, 51, 25.5))
    assert normalisation({"rescale_factor": 1 / 127.5}).mean == pytest.approx((63.75,) * 3)
    plain = normalisation({"do_normalize": False, "image_mean": [0.5] * 3})
    assert plain.mean == pytest.approx((0, 0, 0))
    assert plain.std == pytest.approx((255,) * 3)
    assert normalisation({"do_rescale": False, "do_normalize": False}).std == pytest.approx(
        (1, 1, 1)
    )


@pytest.mark.parametrize("size", [(90, 60), (61, 100), (64, 64)])
def test_reference_pixels_are_those_of_transformers(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    file = io.BytesIO()
    image.save(file, "PNG")
    plain: dict[str, Any] = {"do_rescale": False, "do_normalize": False, "return_tensors": "np"}
    clip = CLIPImageProcessorPil(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})(
        image, **plain
    )
    siglip = SiglipImageProcessorPil(size={"height": 32, "width": 32})(image, **plain)
    for theirs, spec in ((clip, PixelSpec(32, "crop", 0.8)), (siglip, PixelSpec(32, "squash"))):
        wanted_HWC = theirs["pixel_values"][0].transpose(1, 2, 0)
        found_HWC = reference_pixels(file.getvalue(), spec).astype(np.int16)
        assert np.abs(found_HWC - wanted_HWC).max() == 0
