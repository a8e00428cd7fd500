"""The photos that scikit-image and scikit-learn bundle: a look at the model that anyone can
repeat.

They are in no training part. What counts as a right tag was written down by looking at the photos,
not at answers. Without the two packages the table is empty.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.table import fold
from inkling_server.model_manifest import Calibration
from inkling_training.exported import ExportedModel, scores
from inkling_training.packages import package_folder

# package, file, words of which one must be in a right tag
PHOTOS = (
    (
        "skimage",
        "data/astronaut.png",
        "astronaut person woman people space suit portrait uniform flag face smile",
    ),
    (
        "skimage",
        "data/camera.png",
        "camera man person photographer photography tripod people grass field",
    ),
    ("skimage", "data/chelsea.png", "cat kitten pet animal tabby feline"),
    ("skimage", "data/clock_motion.png", "clock time watch"),
    ("skimage", "data/coffee.png", "coffee cup espresso drink cafe mug spoon table"),
    ("skimage", "data/coins.png", "coin money currency metal collection history ancient"),
    ("skimage", "data/horse.png", "horse animal silhouette"),
    (
        "skimage",
        "data/hubble_deep_field.jpg",
        "galaxy space star universe astronomy sky night cosmos nebula",
    ),
    ("skimage", "data/moon.png", "moon space astronomy planet crater night"),
    (
        "skimage",
        "data/motorcycle_left.png",
        "motorcycle motorbike bike vehicle garage scooter wheel",
    ),
    ("skimage", "data/rocket.jpg", "rocket missile space launch shuttle spacecraft"),
    ("skimage", "data/grass.png", "grass lawn nature plant green meadow"),
    ("skimage", "data/brick.png", "brick wall building stone texture"),
    ("skimage", "data/gravel.png", "gravel stone rock pebble ground texture"),
    ("skimage", "data/page.png", "page text book document reading paper print"),
    (
        "sklearn",
        "datasets/images/china.jpg",
        "temple pagoda architecture palace china building garden travel",
    ),
    ("sklearn", "datasets/images/flower.jpg", "flower plant blossom garden nature dahlia daisy"),
)


def table(
    model: ExportedModel, interests: Sequence[Interest], calibration: Calibration
) -> dict[str, Any]:
    """The first five tags of each photo, and whether one of the first three is right."""
    found = [
        (Path(file).name, folder / file, set(fold(words).split()))
        for package, file, words in PHOTOS
        if (folder := package_folder(package)) is not None and (folder / file).exists()
    ]
    if not found:
        return {}
    phrases_VD = model.encode_texts([interest.phrase for interest in interests])
    pictures_BD = model.encode_pictures([path.read_bytes() for _, path, _ in found])
    scores_BV = scores((pictures_BD @ phrases_VD.T).astype(np.float64), interests, calibration)
    rows = {}
    for (name, _, right), scores_V in zip(found, scores_BV, strict=True):
        best = [int(index) for index in np.argsort(-scores_V)[:5]]
        firsts = [set(fold(interests[index].phrase).split()) for index in best[:3]]
        rows[name] = {
            "right in first three": any(words & right for words in firsts),
            "tags": {interests[index].phrase: round(float(scores_V[index]), 3) for index in best},
        }
    return rows
