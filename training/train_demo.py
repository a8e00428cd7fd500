"""A model's whole life on a small real set: mined, trained, exported, calibrated, judged, deployed.

    make train-demo                       # about ten minutes on two cores
    make train-demo ARGS="--work DIR --steps 200"

It starts a server with the shipped model, and at the end the new model serves in it, without a
pause: what it tags the demo's photos with is shown before and after. Everything is a command of its
own that a person can run alone; each is printed. The set comes from the sample data (see the model
card), the towers from the folders beside it or, where there are none, from the Hugging Face hub.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inkling_client.client import InklingClient
from inkling_client.demo import bundled_photos
from inkling_client.demo_server import running_server
from inkling_client.results import TagResult
from inkling_training.data import REPOSITORY, sample_data_dir
from inkling_training.small.__main__ import minilm, mobilenet

SOURCES = ("coco-mini", "food-dishes", "clothing-photos", "scenes-8", "caltech-101")
A_CLASS = 12  # pictures
HUB_TEXT = "sentence-transformers/all-MiniLM-L6-v2"
_SHIPPED = REPOSITORY / "model_repository"


def main(arguments: list[str] | None = None) -> int:
    """Runs it all; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=None, help="default: the sample data")
    parser.add_argument("--vision", default=None, help="picture tower: hub name or directory")
    parser.add_argument("--text", default=None, help="text tower: hub name or directory")
    parser.add_argument(
        "--work", type=Path, default=REPOSITORY / "build" / "train-demo", help="made anew"
    )
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args(arguments)

    try:
        data = args.data or sample_data_dir()
    except FileNotFoundError as error:
        print(f"{error}\nIts format: tar shards of <key>.webp and <key>.json, see docs/training.md")
        return 2
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="inkling-train-demo-") as folder:
        _Demo(args.work, data, Path(folder)).run(
            args.vision or mobilenet(data),
            args.text or _minilm(),
            args.steps,
            args.batch,
        )
    return 0


class _Demo:
    """The steps, in order."""

    def __init__(self, work: Path, data: Path, server_folder: Path) -> None:
        self._work, self._data, self._server_folder = work, data, server_folder
        self._models, self._pairs = work / "models", work / "pairs"
        self._took_s: dict[str, float] = {}

    def run(self, vision: str, text: str, steps: int, batch: int) -> None:
        sources = ("--sources", *SOURCES, "--limit-per-class", str(A_CLASS))
        pairs, models = str(self._pairs), str(self._models)
        self._step("mine", "pairs", "--data", str(self._data), *sources, "--out", pairs)
        self._step(
            *("train", "fit", "--pairs", pairs, "--vision", vision, "--text", text),
            *("--out", str(self._work / "run"), "--name", "inkling-demo"),
            *("--dimensions", "256,128,64", "--tune", "partial:1", "--precision", "bf16"),
            *("--steps", str(steps), "--batch", str(batch), "--log-every", str(max(1, steps // 8))),
        )
        shutil.copytree(_SHIPPED, self._models, ignore=shutil.ignore_patterns("__pycache__"))
        # The server below starts with what ships, and the new version comes beside it.
        os.environ["INKLING_MODEL_REPOSITORY"] = models
        with running_server(self._server_folder) as target, InklingClient(target) as client:
            before = _tagged(client)
            status = client.model.status()
            checkpoint = str(self._work / "run" / "model")
            self._step(
                "export", "export", "--from", checkpoint, "--out", models, "--precision", "bf16"
            )
            new = str(_newest(self._models))
            measured = ("--model-repository", models, "--version", new, "--data", pairs)
            self._step("calibrate", "calibration", *measured)
            self._step("tune", "calibration.tune", *measured)
            report = ("--html", str(self._work / "report.html"))
            self._step(
                *("evaluate", "evaluation", *measured, *report),
                *("--json", str(self._work / "report.json")),
            )
            self._deploy(target, new)
            after = _tagged(client)
            assert client.model.status().model_version != status.model_version
        _show(before, after)
        self._summary()

    def _step(self, title: str, module: str, *arguments: str) -> None:
        self._call(title, [sys.executable, "-m", f"inkling_training.{module}", *arguments])

    def _deploy(self, target: str, version: str) -> None:
        # --force: a few minutes' model may well differ from the shipped one beyond the limits.
        command = [sys.executable, "-m", "inkling_client.cli", "model", "deploy", version]
        self._call("deploy", [*command, "--force", "--server", target])

    def _call(self, title: str, command: list[str]) -> None:
        print(f"\n== {title}\n$ {shlex.join(['python', *command[1:]])}", flush=True)
        started_s = time.monotonic()
        subprocess.run(command, check=True)  # noqa: S603 - our own command, no shell
        self._took_s[title] = time.monotonic() - started_s

    def _summary(self) -> None:
        took = "  ".join(f"{title} {seconds:.0f} s" for title, seconds in self._took_s.items())
        print(f"\n{took}  all {sum(self._took_s.values()):.0f} s")
        print(f"report: {self._work / 'report.html'}")
        (self._work / "took.json").write_text(json.dumps(self._took_s, indent=1) + "\n")


def _tagged(client: InklingClient) -> dict[str, TagResult]:
    return {Path(photo).name: client.tag(Path(photo)) for photo in bundled_photos()}


def _show(before: dict[str, TagResult], after: dict[str, TagResult]) -> None:
    for photo, result in before.items():
        print(f"\n{photo}")
        for tagged in (result, after[photo]):
            tags = ", ".join(f"{tag.phrase} {tag.score:.0%}" for tag in tagged.tags) or "no tag"
            print(f"  {tagged.model_version}: {tags}")


def _newest(models: Path) -> int:
    return max(int(path.name) for path in (models / "vision_encoder").glob("[0-9]*"))


def _minilm() -> str:
    try:
        return minilm()
    except ModuleNotFoundError:
        return HUB_TEXT


if __name__ == "__main__":
    sys.exit(main())
