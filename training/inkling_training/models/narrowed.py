"""A pairwise model with fewer dimensions, so that an index needs less memory and time.

Checkpoints of ours know their nested sizes themselves; this is for models from elsewhere. It does
not know whether a model was trained for it.
"""

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional

from inkling_training.models.loaded import LoadedModel


class Narrowed(nn.Module):
    """The first `dimension` numbers of an embedding, made a unit vector again.

    Right for models that were trained with nested sizes (Kusupati et al., "Matryoshka
    representation learning", 2022); for others it loses more than a projection would.
    """

    def __init__(self, whole: nn.Module, dimension: int) -> None:
        super().__init__()
        self.whole, self.dimension = whole, dimension

    def forward(self, *inputs: Tensor) -> Tensor:
        return functional.normalize(self.whole(*inputs)[:, : self.dimension], dim=-1)


def narrowed(model: LoadedModel, dimension: int) -> LoadedModel:
    """The same model with fewer dimensions.

    Raises:
        ValueError: `dimension` is not in 1 to the model's own.
    """
    if not 1 <= dimension <= model.dimension:
        raise ValueError(f"{model.name} has 1 to {model.dimension} dimensions, not {dimension}")
    if dimension == model.dimension:
        return model
    return replace(
        model,
        vision=Narrowed(model.vision, dimension).eval(),
        text=Narrowed(model.text, dimension).eval(),
        dimension=dimension,
    )
