"""A million tags and real pictures for measuring search, in the space of the shipped model.

    the shipped graph's phrases  ─► phrases of any number ─► text encoder   ─► rows    [N, 256]
    scikit-image's photos, cut, or tar files of photos    ─► vision encoder ─► queries [P, 256]

Random vectors say little about an approximate index: real rows lie in few dimensions and in clumps,
and pictures lie apart from them (another modality), so that graphs and cells that were made for
rows meet queries as they never saw. Hence both come from the model that serves.

The phrases: the graph's own first (7,351), then, shuffled by a fixed seed, in equal parts
"<adjective> <phrase>", "<phrase> <place>" and "<phrase> and <phrase>". Embedding a million takes
some five minutes on two cores and 1 GB of disk; what is there already is not made again.

Shapes: N tags, P pictures, D dimensions.
"""

import argparse
import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.snapshot import load_snapshot
from inkling_server.model_manifest import load_manifest
from inkling_server.runtimes import RuntimeOptions, open_runtime
from inkling_server.tokens import PhraseTokenizer

REPOSITORY = Path(__file__).resolve().parent.parent
GRAPHS = REPOSITORY / "server" / "inkling_server" / "interests" / "default_graph"
MODELS = REPOSITORY / "model_repository"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png")
SEED = 7
_PART = 50_000
_ADJECTIVES = (
    "red",
    "blue",
    "green",
    "yellow",
    "black",
    "white",
    "orange",
    "pink",
    "brown",
    "grey",
    "golden",
    "silver",
    "wooden",
    "metal",
    "plastic",
    "glass",
    "old",
    "new",
    "small",
    "large",
    "tiny",
    "giant",
    "vintage",
    "modern",
    "broken",
    "dirty",
    "clean",
    "wet",
    "frozen",
    "wild",
    "beautiful",
    "ugly",
    "cheap",
    "expensive",
    "handmade",
    "traditional",
    "colorful",
    "striped",
    "abstract",
    "minimalist",
    "rustic",
    "winter",
    "summer",
    "autumn",
    "spring",
    "Italian",
    "Japanese",
    "Mexican",
    "French",
    "Indian",
    "American",
    "German",
    "homemade",
    "organic",
    "electric",
    "toy",
    "paper",
    "miniature",
    "antique",
    "shiny",
    "fluffy",
)
_PLACES = (
    "in the snow",
    "in the rain",
    "in a box",
    "in the forest",
    "in a kitchen",
    "in the city",
    "in Paris",
    "in Tokyo",
    "in New York",
    "in the desert",
    "in the 1950s",
    "in a museum",
    "on a table",
    "on the beach",
    "on the road",
    "on a wall",
    "on a boat",
    "on stage",
    "at night",
    "at sunset",
    "at school",
    "at home",
    "at a festival",
    "under water",
    "by the river",
    "by a window",
    "for kids",
    "for beginners",
    "for sale",
    "from above",
    "close up",
    "with a dog",
    "with flowers",
    "with friends",
    "art",
    "photography",
    "history",
    "recipe",
    "design",
    "tattoo",
    "shop",
    "festival",
    "lovers",
    "accessories",
    "poster",
    "drawing",
    "sculpture",
    "repair",
    "ideas",
)


def phrases(count: int) -> list[str]:
    """The first `count` phrases; fewer are always the beginning of more."""
    own = [interest.phrase for interest in shipped_graph().interests]
    rng = np.random.default_rng(SEED)
    found = dict.fromkeys(own)
    while len(found) < count:
        kind, first, second = rng.integers(0, 3), *rng.integers(0, len(own), 2)
        if kind == 0:
            phrase = f"{_ADJECTIVES[second % len(_ADJECTIVES)]} {own[first]}"
        elif kind == 1:
            phrase = f"{own[first]} {_PLACES[second % len(_PLACES)]}"
        else:
            phrase = f"{own[first]} and {own[second]}"
        found[phrase] = None
    return list(found)[:count]


def tag_counts(count: int) -> NDArray[np.int64]:
    """How often each phrase is named: the graph's own counts, drawn again for the others."""
    own = np.array([interest.count for interest in shipped_graph().interests], np.int64)
    drawn = np.random.default_rng(SEED).choice(own, max(count - len(own), 0))
    return np.concatenate([own, drawn])[:count]


def tag_embeddings(count: int, cache: Path) -> NDArray[np.float32]:
    """Embeddings of the first `count` phrases by the shipped text encoder, float32 [N, D].

    Args:
        count: N.
        cache: folder of parts; made where needed.
    """
    manifest = load_manifest(MODELS, model_version())
    cache.mkdir(parents=True, exist_ok=True)
    texts = phrases(count)
    rows_ND = np.empty((count, manifest.dimension), np.float32)
    runtime = None
    for start in range(0, count, _PART):
        part = texts[start : start + _PART]
        name = hashlib.sha256("\n".join([manifest.fingerprint, *part]).encode()).hexdigest()[:16]
        path = cache / f"tags-{start}-{name}.npy"
        if not path.exists():
            folder = MODELS / "text_encoder" / str(manifest.version)
            runtime = runtime or open_runtime(folder / "model.onnx", RuntimeOptions())
            tokenizer = PhraseTokenizer(folder / "tokenizer.json", manifest.text)
            part_PD = np.empty((len(part), manifest.dimension), np.float32)
            for batch in tokenizer.batches(part, 64):
                part_PD[batch.rows] = runtime.run(
                    {"input_ids": batch.input_ids_BL, "attention_mask": batch.attention_mask_BL}
                )
            draft = path.with_suffix(".draft.npy")
            np.save(draft, part_PD / np.linalg.norm(part_PD, axis=1, keepdims=True))
            draft.rename(path)
            print(f"embedded {start + len(part):,} of {count:,} phrases", flush=True)
        rows_ND[start : start + len(part)] = np.load(path)
    return rows_ND


def picture_embeddings(count: int, tars: Sequence[Path] = ()) -> NDArray[np.float32]:
    """Embeddings of photos by the shipped vision encoder, float32 [P, D].

    Args:
        count: P, at most.
        tars: files of pictures, taken from in turn; none: different cuts of bundled photos.
    """
    manifest = load_manifest(MODELS, model_version())
    folder = MODELS / "vision_encoder" / str(manifest.version)
    runtime = open_runtime(folder / "model.onnx", RuntimeOptions(precision="f32"))
    photos = _from_tars(count, tars) if tars else cuts(count)
    size = manifest.image.size
    squashed = [cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA) for photo in photos]
    pictures_PD = np.concatenate(
        [
            runtime.run({"pixels": np.stack(squashed[start : start + 32]).astype(np.uint8)})
            for start in range(0, len(squashed), 32)
        ]
    )
    unit_PD: NDArray[np.float32] = pictures_PD / np.linalg.norm(pictures_PD, axis=1, keepdims=True)
    return unit_PD


def cuts(count: int) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(SEED)
    sources = [
        np.asarray(Image.open(Path(skimage.data.data_dir) / name).convert("RGB")) for name in PHOTOS
    ]
    for number in range(count):
        source = sources[number % len(sources)]
        side = int(min(source.shape[:2]) * rng.uniform(0.2, 1.0))
        top, left = (int(rng.integers(0, edge - side + 1)) for edge in source.shape[:2])
        yield source[top : top + side, left : left + side]


def _from_tars(count: int, tars: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    for place, path in enumerate(tars):
        wanted = count // len(tars) + (place < count % len(tars))
        with tarfile.open(path) as tar:
            for member in tar:
                if wanted and member.name.endswith((".webp", ".jpg", ".png")):
                    file = tar.extractfile(member)
                    assert file is not None  # it is a file
                    yield np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
                    wanted -= 1


def shipped_graph() -> GraphSnapshot:
    """The graph that comes with the server."""
    return load_snapshot(next(path for path in sorted(GRAPHS.iterdir()) if path.is_dir()))


def model_version() -> int:
    return max(
        int(path.name) for path in (MODELS / "vision_encoder").iterdir() if path.name.isdigit()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tags", type=int, default=1_000_000)
    parser.add_argument("--cache", type=Path, default=Path("build/bench-search"))
    arguments = parser.parse_args()
    tag_embeddings(arguments.tags, arguments.cache)


if __name__ == "__main__":
    main()
