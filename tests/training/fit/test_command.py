"""The command: trains, stops, goes on; alone and as two processes."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from inkling_training.fit.__main__ import main
from inkling_training.models.checkpoint import load_checkpoint
from tests.training import tiny_towers
from tests.training.fit import tiny_pairs
from tests.training.models import tiny

pytestmark = [
    pytest.mark.training,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs, graph and models."""
    folder = tmp_path_factory.mktemp("data")
    tiny_pairs.save(folder)
    tiny.save_vit(folder / "vit", layers=2)
    tiny.save_clip(folder / "clip")
    tiny_towers.save_classifier(folder / "classifier")
    tiny_towers.save_text_model(folder / "bert")
    return folder


def _arguments(data: Path, out: Path, *more: str) -> list[str]:
    given = {"--pairs": data / "pairs", "--graph": data / "graph", "--out": out}
    return [str(part) for pair in given.items() for part in pair] + list(more)


def _towers(data: Path, vision: str = "vit") -> list[str]:
    return ["--vision", str(data / vision), "--text", str(data / "bert"), "--dimensions", "16,8"]


# The command, killed in the middle of a step: nothing of it has a chance to tidy up.
_KILLED = """
import os, signal, sys
from inkling_training.fit.__main__ import main
from inkling_training.fit.steps import PairwiseStep

whole = PairwiseStep.__call__

def killed(self, step, piece):
    if (step, piece) == (int(sys.argv[1]), 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, step, piece)

PairwiseStep.__call__ = killed
main(sys.argv[2:])
"""


def _started(
    arguments: Sequence[str], processes: int = 1, killed_at: int | None = None
) -> subprocess.Popen[str]:
    launcher = ["-m", "inkling_training.fit"]
    if processes > 1:
        torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        launcher = ["-m", *torchrun, *launcher]
    elif killed_at is not None:
        launcher = ["-c", _KILLED, str(killed_at)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        [sys.executable, *launcher, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def _finished(process: subprocess.Popen[str]) -> str:
    told = process.communicate()[0]
    assert process.returncode == 0, told
    return told


def test_a_run_leaves_a_model_a_log_and_its_settings(data: Path, tmp_path: Path) -> None:
    more = [*_towers(data, "classifier"), "--steps", "6", "--batch", "4", "--log-every", "2"]
    more += [
        "--validate-every",
        "3",
        "--tune",
        "partial:1",
        "--loss",
        "infonce,sigmoid:0.1,caption",
    ]
    main(_arguments(data, tmp_path, *more, "--name", "tiny"))
    model = load_checkpoint(tmp_path / "model", dimension=8)
    assert (model.name, model.dimension) == ("tiny", 8)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [2, 4, 6]
    assert [line["step"] for line in lines if "val_recall_at_1" in line] == [3, 6]
    assert {"infonce", "sigmoid", "caption", "pace", "step_s"} <= lines[0].keys()
    assert json.loads((tmp_path / "run.json").read_text())["tune"] == "partial:1"


@pytest.mark.parametrize(
    "more",
    [
        ["--tune", "lora:2", "--average-decay", "0.9", "--loss", "infonce,caption"],
        ["--tune", "full", "--precision", "bf16", "--grad-cache", "--loss", "sigmoid"],
    ],
    ids=["lora", "cached-bf16"],
)
def test_a_run_killed_at_a_random_step_ends_with_the_same_weights(
    data: Path, tmp_path: Path, more: list[str]
) -> None:
    # BERT has dropout, threads make the examples, and a step has two pieces.
    common = [*_towers(data), "--steps", "12", "--batch", "3", "--accumulate", "2", *more]
    common += ["--save-every", "2", "--log-every", "1", "--validate-every", "5", "--workers", "2"]
    killed_at = random.Random("".join(more)).randint(3, 11)
    whole = _started(_arguments(data, tmp_path / "whole", *common))
    broken = _started(_arguments(data, tmp_path / "broken", *common), killed_at=killed_at)
    told = broken.communicate()[0]
    assert broken.returncode == -signal.SIGKILL, told
    assert not (tmp_path / "broken" / "model").exists()
    assert list((tmp_path / "broken" / "checkpoints").glob("step-*.pt"))
    _finished(whole)
    told = _finished(_started(_arguments(data, tmp_path / "broken", *common)))
    assert "from step 0" not in told
    ours, theirs = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("broken", "whole")
    )
    assert ours.keys() == theirs.keys()
    for name, wanted in theirs.items():
        assert torch.equal(ours[name], wanted), name
    logs = [
        [
            {key: value for key, value in json.loads(line).items() if key != "step_s"}
            for line in (tmp_path / name / "log.jsonl").read_text().splitlines()
        ]
        for name in ("broken", "whole")
    ]
    assert logs[0] == logs[1]


def test_two_processes_learn_what_one_with_twice_the_batch_learns(
    data: Path, tmp_path: Path
) -> None:
    # CLIP has no dropout, whose draws would differ by rank.
    common = ["--model", str(data / "clip"), "--steps", "5", "--accumulate", "2"]
    common += ["--head-rate", "1e-3", "--tower-rate", "1e-3", "--loss", "infonce,sigmoid:0.1"]
    two = _started(_arguments(data, tmp_path / "two", *common, "--batch", "2"), processes=2)
    one = _started(_arguments(data, tmp_path / "one", *common, "--batch", "4"))
    _finished(one)
    _finished(two)
    ours, theirs = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("two", "one")
    )
    first = load_file(data / "clip" / "model.safetensors")
    moved = (
        theirs["pictures.backbone.model.visual_projection.weight"]
        - (first["visual_projection.weight"])
    )
    assert moved.abs().max() > 1e-3
    for name, wanted in theirs.items():
        # Attention is the same for any bias of its keys: their gradients are rounding alone, which
        # Adam makes as big as any other.
        if not name.endswith("k_proj.bias"):
            torch.testing.assert_close(ours[name], wanted, atol=2e-4, rtol=0, msg=name)


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_saves_and_ends_well(data: Path, tmp_path: Path, processes: int) -> None:
    more = ["--model", str(data / "clip"), "--steps", "5000", "--batch", "2", "--log-every", "1"]
    process = _started(_arguments(data, tmp_path, *more), processes)
    with process:
        told = ""
        for line in _output(process):
            told += line
            if line.startswith("step 2/"):
                process.terminate()
                break
        told += _output(process).read()
    assert "stopped with a checkpoint" in told
    assert len(list((tmp_path / "checkpoints").glob("step-*.pt"))) == 1
    if processes == 1:  # torchrun reports its own signal
        assert process.returncode == 0


def test_other_settings_are_refused_by_name(data: Path, tmp_path: Path) -> None:
    common = ["--model", str(data / "clip"), "--steps", "2", "--batch", "2", "--tune", "heads"]
    main(_arguments(data, tmp_path, *common))
    with pytest.raises(SystemExit, match="seed: 0 in the checkpoint, 1 now"):
        main(_arguments(data, tmp_path, *common, "--seed", "1"))
    main(_arguments(data, tmp_path, *common, "--seed", "1", "--resume", "never"))
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "either --model, or both"),
        (["--model", "a", "--vision", "b", "--text", "c"], "either --model, or both"),
        (["--vision", "b"], "either --model, or both"),
        (["--model", "a", "--tune", "some"], "full, partial:N, lora:R or heads"),
        (["--model", "a", "--loss", "mse"], "loss 'mse'"),
        (["--model", "a", "--batch", "0"], "--batch must be at least 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, more: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(_arguments(tmp_path, tmp_path, "--steps", "1", *more))


def test_a_finished_model_can_be_trained_further(data: Path, tmp_path: Path) -> None:
    common = ["--steps", "2", "--batch", "2"]
    main(_arguments(data, tmp_path / "a", *_towers(data), *common, "--tune", "heads"))
    more = ["--model", str(tmp_path / "a" / "model"), *common, "--tune", "lora:1"]
    main(_arguments(data, tmp_path / "b", *more))
    first, second = (load_checkpoint(tmp_path / name / "model") for name in "ab")
    pixels = torch.from_numpy(np.zeros((1, 64, 64, 3), np.uint8))
    with torch.no_grad():
        assert not torch.equal(first.vision(pixels), second.vision(pixels))
