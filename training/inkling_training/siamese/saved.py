"""A siamese network on disk: what it is, and its weights.

    RUN/siamese.json         NetworkSpec
    RUN/model.safetensors    every weight, the trunk's included

A tower is named, not copied: loading builds it from the same hub name or directory, then sets the
saved weights. Nothing here knows pairs or training.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file

from inkling_training.siamese.networks import AlexTrunk, SiameseNet, TowerTrunk
from inkling_training.vision_tower import load_vision_tower


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What a siamese network is made of.

    Attributes:
        tower: hub name or directory of a vision model; None for the AlexNet-style trunk.
        size: side of the pictures in pixels.
        width: share of AlexNet's channels; not read with a tower.
        dimension: of the embedding.
    """

    tower: str | None = None
    size: int = 224
    width: float = 1.0
    dimension: int = 64


def build_network(spec: NetworkSpec, *, fine_tune: bool = False) -> SiameseNet:
    """A network with random output weights; a tower is frozen unless `fine_tune`."""
    if spec.tower is None:
        trunk = AlexTrunk(spec.size, spec.width)
        return SiameseNet(trunk, trunk.features, spec.dimension)
    tower = load_vision_tower(spec.tower)
    tower.backbone.requires_grad_(requires_grad=fine_tune)
    seen = TowerTrunk.probed(tower, spec.size)
    return SiameseNet(seen, seen.features, spec.dimension)


def save_siamese(network: SiameseNet, spec: NetworkSpec, folder: Path) -> None:
    """Writes both files; the description last, so that a folder with one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "siamese.json").write_text(json.dumps(asdict(spec), indent=1) + "\n")


def load_siamese(folder: Path) -> SiameseNet:
    """Reads what `save_siamese` wrote, in eval mode.

    Raises:
        FileNotFoundError: the folder holds no siamese network, or the tower it names is gone.
    """
    spec = NetworkSpec(**json.loads((folder / "siamese.json").read_text()))
    network = build_network(spec)
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network.eval()
