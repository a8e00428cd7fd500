"""Networks of the shapes that encoders have, with random weights: speed is no matter of training.

    pixels uint8 [B, 224, 224, 3] ─► normalised ─► backbone ─► projection ─► length 1
                                                                             float32 [B, 256]

as `inkling-export` lays a vision graph out. Attention is one operation, in torch
(`scaled_dot_product_attention`) and in ONNX (`com.microsoft.MultiHeadAttention`, which the CUDA
provider runs as flash attention). Nothing here measures.

Legend: B pictures, T tokens, W width, C channels, H x W pixels.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

SIDE, DIMENSION = 224, 256
_OPSET = 20
# Expansion, channels, repeats, stride: Sandler et al., "MobileNetV2" (2018), table 2.
_BOTTLENECKS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """One network's size; `patch` 0 means MobileNetV2.

    Sources: Dosovitskiy et al. (2021), table 1; Radford et al. (2021) for L/14.
    """

    patch: int = 0
    width: int = 0
    depth: int = 0
    heads: int = 0


SHAPES = {
    "mobilenet-v2": Shape(),
    "vit-b-32": Shape(32, 768, 12, 12),
    "vit-b-16": Shape(16, 768, 12, 12),
    "vit-l-14": Shape(14, 1024, 24, 16),
}
TINY = {"mobilenet-v2": Shape(), "vit-tiny": Shape(56, 64, 2, 2)}


class _Attend(torch.autograd.Function):
    """scaled_dot_product_attention that an ONNX graph holds as one node."""

    @staticmethod
    def forward(
        _: Any, query_BTW: Tensor, key_BTW: Tensor, value_BTW: Tensor, heads: int
    ) -> Tensor:
        return attend(query_BTW, key_BTW, value_BTW, heads)

    @staticmethod
    def symbolic(g: Any, query: Any, key: Any, value: Any, heads: int) -> Any:
        result = g.op("com.microsoft::MultiHeadAttention", query, key, value, num_heads_i=heads)
        result.setType(query.type())
        return result


def attend(query_BTW: Tensor, key_BTW: Tensor, value_BTW: Tensor, heads: int) -> Tensor:
    """Multi-head attention over all tokens, [B, T, W]."""
    batch, tokens, width = query_BTW.shape

    def split(part_BTW: Tensor) -> Tensor:
        return part_BTW.view(batch, tokens, heads, width // heads).transpose(1, 2)

    mixed_BHTw = functional.scaled_dot_product_attention(
        split(query_BTW), split(key_BTW), split(value_BTW)
    )
    return mixed_BHTw.transpose(1, 2).reshape(batch, tokens, width)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BTW: Tensor) -> Tensor:
        query, key, value = self.qkv(self.before(x_BTW)).chunk(3, dim=-1)
        if torch.onnx.is_in_onnx_export():
            apply: Any = _Attend.apply
            mixed_BTW = apply(query, key, value, self.heads)
        else:
            mixed_BTW = attend(query, key, value, self.heads)
        x_BTW = x_BTW + self.out(mixed_BTW)
        wide_BTW: Tensor = functional.gelu(self.up(self.between(x_BTW)))
        result_BTW: Tensor = x_BTW + self.down(wide_BTW)
        return result_BTW


class _Vit(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.out_channels = width
        self.patches = nn.Conv2d(3, width, shape.patch, shape.patch)
        self.start = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        tokens = (SIDE // shape.patch) ** 2 + 1
        self.places = nn.Parameter(torch.randn(1, tokens, width) * 0.02)
        self.blocks = nn.Sequential(*(_Block(width, shape.heads) for _ in range(shape.depth)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BTW = self.patches(x_BCHW).flatten(2).transpose(1, 2)
        start = self.start.expand(x_BTW.shape[0], -1, -1)
        x_BTW = self.blocks(torch.cat([start, x_BTW], dim=1) + self.places)
        first_BW: Tensor = self.norm(x_BTW[:, 0])
        return first_BW


class _Bottleneck(nn.Module):
    """1x1 up, 3x3 on each channel, 1x1 down; batch normalisation is folded, as exports have it."""

    def __init__(self, channels: int, out: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = channels * expansion
        steps: list[nn.Module] = []
        if expansion > 1:
            steps += [nn.Conv2d(channels, inner, 1), nn.ReLU6(inplace=True)]
        steps += [nn.Conv2d(inner, inner, 3, stride, 1, groups=inner), nn.ReLU6(inplace=True)]
        steps.append(nn.Conv2d(inner, out, 1))
        self.steps = nn.Sequential(*steps)
        self.adds = stride == 1 and channels == out

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.steps(x_BCHW)
        return x_BCHW + y_BCHW if self.adds else y_BCHW


class _MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        steps: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6(inplace=True)]
        channels = 32
        for expansion, out, repeats, stride in _BOTTLENECKS:
            for number in range(repeats):
                steps.append(_Bottleneck(channels, out, expansion, 1 if number else stride))
                channels = out
        steps += [nn.Conv2d(channels, 1280, 1), nn.ReLU6(inplace=True)]
        self.steps = nn.Sequential(*steps)
        self.out_channels = 1280

    def forward(self, x_BCHW: Tensor) -> Tensor:
        pooled_BC: Tensor = self.steps(x_BCHW).mean(dim=(2, 3))
        return pooled_BC


class Encoder(nn.Module):
    """uint8 pixels [B, 224, 224, 3] -> float32 [B, 256], rows of length 1."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.convolves = shape.patch == 0
        self.backbone = _MobileNet() if self.convolves else _Vit(shape)
        self.project = nn.Linear(self.backbone.out_channels, DIMENSION, bias=False)
        self.register_buffer("mean", torch.tensor([123.7, 116.3, 103.5]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([58.4, 57.1, 57.4]).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        x_BCHW = (pixels.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.deviation
        embedding_BD: Tensor = self.project(self.backbone(x_BCHW)).float()
        length_B1 = embedding_BD.square().sum(dim=1, keepdim=True).sqrt()
        return embedding_BD / length_B1


def make_encoder(shape: Shape, *, device: str, dtype: torch.dtype) -> Encoder:
    """One with random weights, for inference; convolutions keep channels last."""
    torch.manual_seed(7)
    with torch.device(device):
        encoder = Encoder(shape)
    encoder = encoder.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return laid_out(encoder, torch.channels_last) if encoder.convolves else encoder


def laid_out(encoder: Any, memory_format: torch.memory_format) -> Encoder:
    """The encoder with its filters in this order of dimensions."""
    moved: Encoder = encoder.to(memory_format=memory_format)
    return moved


def flops_per_picture(encoder: nn.Module, pixels: Tensor) -> float:
    """Floating-point operations of products and convolutions, two for a multiply-add."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        encoder(pixels[:1])
    return float(counter.get_total_flops())


def bytes_per_picture(encoder: nn.Module, pixels: Tensor) -> float:
    """Bytes that layer-by-layer execution moves for one picture: each convolution and product reads
    its input and writes its output once. Weights, which a batch shares, are left out."""
    moved = [0]

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        moved[0] += sum(x.numel() * x.element_size() for x in (*inputs, output))

    layers = [m for m in encoder.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.inference_mode():
        encoder(pixels[:1])
    for hook in hooks:
        hook.remove()
    return float(moved[0])


def export(encoder: Encoder, path: Path, pixels: Tensor) -> Path:
    """Writes the encoder's ONNX graph, in the precision that it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"dynamo": False, "opset_version": _OPSET}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's age, and of shapes taken as fixed
        torch.onnx.export(
            encoder,
            (pixels[:2],),
            path,
            input_names=["pixels"],
            output_names=["embedding"],
            dynamic_axes={"pixels": {0: "batch"}, "embedding": {0: "batch"}},
            custom_opsets={"com.microsoft": 1},
            **options,
        )
    return path
