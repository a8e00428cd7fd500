"""EfficientNet-Lite as a Hugging Face model; its weights come from `efficientnet_lite_weights`.

MobileNetV2's blocks, found by search and trained with stronger augmentation: no squeeze and
excitation, no swish, so that it stays fast on a CPU. Hugging Face's own EfficientNet has both, and
timm, which has this one, needs torchvision. Batch norms are folded into the convolutions before
them: what is left is convolutions with a bias. Importing this module teaches `AutoModel`
the family.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
(2019); `efficientnet/lite` of github.com/tensorflow/tpu (Apache-2.0).

Legend: B pictures, H x W pixels, C channels; h x w cells of a feature map.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import (
    BaseModelOutputWithPoolingAndNoAttention,
    ImageClassifierOutputWithNoAttention,
)
from transformers.models.mobilenet_v2.modeling_mobilenet_v2 import apply_tf_padding, make_divisible


class Stage(NamedTuple):
    """Blocks of one width: the first of them has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
_STEM_WIDTH, _LAST_WIDTH = 32, 1280  # the same in every size


class EfficientNetLiteConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """Lite0 is 1.0 wide and 1.0 deep, Lite1 1.0 and 1.1, Lite2 1.1 and 1.2."""

    model_type = "efficientnet-lite"

    def __init__(
        self,
        width_multiplier: float = 1.0,
        depth_multiplier: float = 1.0,
        image_size: int = 224,
        **kwargs: Any,
    ) -> None:
        self.width_multiplier, self.depth_multiplier = width_multiplier, depth_multiplier
        self.image_size = image_size
        super().__init__(**kwargs)


class SameConvolution(nn.Module):
    """A convolution padded as TensorFlow's "SAME" does, and ReLU6 unless it ends a block.

    With a stride the padding is one more on the right and below, depending on the size.
    """

    def __init__(
        self,
        width: int,
        out_width: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        depthwise: bool = False,
        activated: bool = True,
    ) -> None:
        super().__init__()
        # With stride 1 both sides get the same, whatever the size.
        padding = kernel // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(
            width, out_width, kernel, stride, padding, groups=width if depthwise else 1
        )
        self._stride, self._activated = stride, activated

    def forward(self, map_BChw: Tensor) -> Tensor:
        if self._stride > 1:
            map_BChw = apply_tf_padding(map_BChw, self.convolution)
        map_BChw = self.convolution(map_BChw)
        return functional.relu6(map_BChw) if self._activated else map_BChw


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project; added to what came in where shapes agree."""

    def __init__(self, width: int, stage: Stage, out_width: int, stride: int) -> None:
        super().__init__()
        inner = width * stage.expansion
        self.expand = SameConvolution(width, inner) if stage.expansion > 1 else None
        self.depthwise = SameConvolution(inner, inner, stage.kernel, stride, depthwise=True)
        self.project = SameConvolution(inner, out_width, activated=False)
        self._residual = stride == 1 and width == out_width

    def forward(self, map_BChw: Tensor) -> Tensor:
        inner = map_BChw if self.expand is None else self.expand(map_BChw)
        out: Tensor = self.project(self.depthwise(inner))
        return out + map_BChw if self._residual else out


class EfficientNetLitePreTrainedModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """What `AutoModel` needs to know of the family."""

    config_class = EfficientNetLiteConfig
    base_model_prefix = "efficientnet_lite"
    main_input_name = "pixel_values"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class EfficientNetLiteModel(  # type: ignore[no-untyped-call]
    EfficientNetLitePreTrainedModel
):
    """Scaled pixels [B, 3, H, W] -> feature map [B, 1280, H / 32, W / 32] and its mean.

    Stem, blocks and last convolution are named as MobileNetV2's are in Hugging Face, so that what
    cuts that one cuts this one (`vision_tower.split_tower`).
    """

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.conv_stem = SameConvolution(3, _STEM_WIDTH, kernel=3, stride=2)
        blocks, width = [], _STEM_WIDTH
        for number, stage in enumerate(_STAGES):
            fixed = number in (0, len(_STAGES) - 1)  # as deep in every size
            repeats = stage.repeats if fixed else math.ceil(stage.repeats * config.depth_multiplier)
            # Typed for integers, made for products like this one.
            out_width = make_divisible(stage.width * config.width_multiplier)  # type: ignore[arg-type]
            for repeat in range(repeats):
                blocks.append(Block(width, stage, out_width, 1 if repeat else stage.stride))
                width = out_width
        self.layer = nn.ModuleList(blocks)
        self.conv_1x1 = SameConvolution(width, _LAST_WIDTH)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPoolingAndNoAttention:
        map_BChw = self.conv_stem(pixel_values)
        for block in self.layer:
            map_BChw = block(map_BChw)
        map_BChw = self.conv_1x1(map_BChw)
        return BaseModelOutputWithPoolingAndNoAttention(map_BChw, map_BChw.mean(dim=(2, 3)))


class EfficientNetLiteForImageClassification(  # type: ignore[no-untyped-call]
    EfficientNetLitePreTrainedModel
):
    """The model with its classifier: scaled pixels [B, 3, H, W] -> logits [B, classes]."""

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.efficientnet_lite = EfficientNetLiteModel(config)
        self.classifier = nn.Linear(_LAST_WIDTH, len(config.id2label or {}))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor, **_: Any) -> ImageClassifierOutputWithNoAttention:
        pooled_BC = self.efficientnet_lite(pixel_values).pooler_output
        return ImageClassifierOutputWithNoAttention(logits=self.classifier(pooled_BC))


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig, exist_ok=True)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLiteModel, exist_ok=True)
AutoModelForImageClassification.register(
    EfficientNetLiteConfig, EfficientNetLiteForImageClassification, exist_ok=True
)
