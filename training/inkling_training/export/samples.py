"""Pictures and phrases that a parity report looks at.

Pictures that the caller gives are best: those that will be served. Without any, the photos that
scikit-image and scikit-learn bundle are taken where they are installed. Synthetic pictures with the
spectrum of photos (power 1/f^2; Field, "Relations between the statistics of natural images", 1987)
always join them. Phrases come from the graph. Nothing here knows models.

Shapes: S side in pixels, 3 = red, green, blue.
"""

import io
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkling_server.errors import InklingError
from inkling_server.images import ImageLimits, decode
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_server.model_manifest import PixelSpec
from inkling_training.bundled import PHOTOS
from inkling_training.data import DEFAULT_GRAPH

SYNTHETIC = 24
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True)
class Samples:
    """What is compared.

    Attributes:
        pictures: encoded, as they would arrive.
        phrases: without the template.
        vocabulary: how many interests the graph has that the phrases were drawn from.
        given: the pictures are the caller's.
    """

    pictures: tuple[bytes, ...]
    phrases: tuple[str, ...]
    vocabulary: int
    given: bool

    def halves(self) -> "tuple[Samples, Samples]":
        """Every other picture: to fit something on one half, and to report on the other."""
        first, second = self.pictures[::2], self.pictures[1::2]
        return replace(self, pictures=first), replace(self, pictures=second)

    def pixels(self, spec: PixelSpec) -> NDArray[np.uint8]:
        """uint8 [B, S, S, 3], as the server decodes them."""
        limits = ImageLimits()
        return np.stack([decode(picture, spec, limits) for picture in self.pictures])


def make_samples(
    pictures: tuple[bytes, ...] = (),
    phrases: tuple[str, ...] = (),
    *,
    graph: Path | None = None,
    phrase_count: int = 256,
) -> Samples:
    """Takes what is given, and fills up as this module's docstring says.

    Args:
        pictures: encoded pictures.
        phrases: default: `phrase_count` of the graph's, evenly over its list.
        graph: folder of snapshots; default: the graph that ships.
        phrase_count: costs one run of the text encoder each, in torch and in each runtime.
    """
    snapshot = load_snapshot(newest_snapshot(graph or DEFAULT_GRAPH))
    vocabulary = [interest.phrase for interest in snapshot.interests]
    if not phrases:
        step = max(1, len(vocabulary) // phrase_count)
        phrases = tuple(vocabulary[::step][:phrase_count])
    photos = pictures or bundled_photos()
    return Samples((*photos, *synthetic_photos()), phrases, len(vocabulary), bool(pictures))


def read_pictures(folder: Path, most: int = 128) -> tuple[bytes, ...]:
    """Up to `most` pictures of a folder and its subfolders, evenly over their sorted names.

    Raises:
        FileNotFoundError: there is none.
        ValueError: one cannot be decoded; its name is in the text.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"no {', '.join(sorted(_SUFFIXES))} in {folder}")
    taken = (
        [paths[place * len(paths) // most] for place in range(most)] if len(paths) > most else paths
    )
    pictures = []
    for path in taken:
        pictures.append(path.read_bytes())
        try:
            decode(pictures[-1], PixelSpec(32))
        except InklingError as error:
            raise ValueError(f"{path.name}: {error}") from error
    return tuple(pictures)


@cache
def bundled_photos() -> tuple[bytes, ...]:
    """Photos of installed packages; none where these are missing."""
    found = []
    for package, file, _ in PHOTOS:
        spec = find_spec(package)
        if spec and spec.origin and (path := Path(spec.origin).parent / file).is_file():
            found.append(path.read_bytes())
    return tuple(found)


@cache
def synthetic_photos(count: int = SYNTHETIC, side: int = 256) -> tuple[bytes, ...]:
    """PNG pictures of random colours whose power falls as 1/f^2, always the same ones."""
    rng = np.random.default_rng(0)
    rows = np.fft.fftfreq(side)[:, None, None]
    columns = np.fft.rfftfreq(side)[None, :, None]
    amplitude = 1 / np.maximum(np.hypot(rows, columns), 1 / side)
    pictures = []
    for _ in range(count):
        noise = rng.standard_normal((2, side, side // 2 + 1, 3))
        waves_HW3 = np.fft.irfft2((noise[0] + 1j * noise[1]) * amplitude, (side, side), axes=(0, 1))
        waves_HW3 = waves_HW3 / waves_HW3.std() * rng.uniform(30, 70) + rng.uniform(70, 180, 3)
        file = io.BytesIO()
        Image.fromarray(np.clip(waves_HW3, 0, 255).astype(np.uint8)).save(file, "PNG")
        pictures.append(file.getvalue())
    return tuple(pictures)
