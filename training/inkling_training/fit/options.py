"""The command line of `python -m inkling_training.fit`, and what of it makes a run what it is.

Settings that change what is computed go into every checkpoint, and a run is only resumed with the
same ones; how often it logs or saves, and how many threads make examples, may change.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from inkling_training.models.towers import PHRASE_POOLINGS, PICTURE_POOLINGS

_FREE = frozenset(
    {"out", "pairs", "graph", "resume", "workers", "device", "name"}
    | {"save_every", "keep", "log_every", "validate_every", "validate_pictures"}
)


def parser(description: str | None) -> argparse.ArgumentParser:
    """All options with their defaults."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--pairs", type=Path, required=True, help="what `inkling_training.pairs` wrote")
    add("--graph", type=Path, default=None, help="folder of graph snapshots (default: the shipped)")
    add("--model", help="dual encoder: hub name, directory, open_clip:..., or RUN/model")
    add("--vision", help="vision model: hub name or directory; with --text")
    add("--text", help="text model: hub name or directory; with --vision")
    add("--out", type=Path, required=True, help="folder of the run")
    add("--name", help="of the model (default: made from its towers)")

    add("--dimensions", type=_sizes, default=(), help="nested sizes, such as 256,128,64")
    add("--picture-head", choices=["auto", "linear", "mlp", "conse"], default="auto")
    add("--phrase-head", choices=["linear", "mlp"], default="linear")
    add("--batch-norm", action="store_true", help="of the embeddings, before they get length 1")
    add("--picture-pooling", choices=PICTURE_POOLINGS, default="auto")
    add("--phrase-pooling", choices=PHRASE_POOLINGS, default="auto")
    add("--max-tokens", type=int, default=32, help="of a text, with --text")
    add("--scale", type=float, default=None, help="first scale of the cosine, at most 100")
    add("--bias", type=float, default=None, help="first bias of the logit")

    add("--tune", default="full", help="full, partial:N, lora:R or heads")
    add("--loss", default="infonce", help="such as infonce, sigmoid,caption:2 or margin")
    add("--margin", type=float, default=1.0, help="of the margin loss, in (0, 2]")
    add("--ignore-from", type=float, default=0.6, help="cosine from which neighbours are not wrong")
    add("--hard-negatives", type=int, default=1, help="texts a picture that do not fit it")

    add("--steps", type=int, required=True)
    add("--batch", type=int, default=64, help="pictures of a piece, on each rank")
    add("--accumulate", type=int, default=1, help="pieces of a step")
    add(
        "--grad-cache",
        action="store_true",
        help="negatives from all pieces of a step, and not from each piece alone",
    )
    add("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    add("--head-rate", type=float, default=1e-3)
    add("--tower-rate", type=float, default=2e-5)
    add("--layer-decay", type=float, default=0.75)
    add("--weight-decay", type=float, default=0.05)
    add("--warm-up", type=int, default=None, help="steps (default: a twentieth)")
    add("--clip-norm", type=float, default=1.0, help="0 clips nothing")
    add("--average-decay", type=float, default=None, help="of averaged weights, such as 0.999")
    add("--seed", type=int, default=0)

    add("--resume", choices=["auto", "never"], default="auto", help="never starts anew")
    add("--save-every", type=int, default=200)
    add("--keep", type=int, default=2, help="checkpoints that stay")
    add("--log-every", type=int, default=10)
    add("--validate-every", type=int, default=200)
    add("--validate-pictures", type=int, default=512)
    add("--workers", type=int, default=2, help="threads that make examples")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    return made


def check(options: argparse.Namespace) -> None:
    """Raises ValueError for options that do not go together."""
    towers = options.vision is not None, options.text is not None
    if (options.model is not None) == any(towers) or (any(towers) and not all(towers)):
        raise ValueError("name either --model, or both --vision and --text")
    for name, least in (("steps", 1), ("batch", 1), ("accumulate", 1), ("hard_negatives", 0)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name.replace('_', '-')} must be at least {least}")


def settings_of(
    options: argparse.Namespace, manifest: Any, graph: str, world: int
) -> dict[str, Any]:
    """What makes the run what it is, flat and JSON-like.

    Args:
        options: the command line.
        manifest: of the pairs; its digest stands for the data.
        graph: version of the graph.
        world: number of processes.
    """
    settings = {name: value for name, value in vars(options).items() if name not in _FREE}
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True, default=str).encode())
    settings |= {"pairs": digest.hexdigest()[:16], "graph": graph, "processes": world}
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be sizes such as 256,128,64") from None
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: sizes must be at least 1")
    return sizes
