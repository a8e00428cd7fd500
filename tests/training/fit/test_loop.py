"""The loop: killed and resumed it ends where an unbroken run ends."""

import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from inkling_training.fit.checkpoints import Checkpoints, CheckpointUnreadable, SettingsDiffer
from inkling_training.fit.loop import (
    Group,
    Loop,
    LoopSettings,
    StepFunction,
    TrainingDiverged,
    warm_up_cosine,
)
from inkling_training.fit.runlog import RunLog

pytestmark = pytest.mark.training


class Stopped(Exception):
    """Stands for a kill."""


def _net() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.GELU(), nn.Linear(8, 1))


def _step_fn(net: nn.Module, killed_at: int | None = None) -> StepFunction:
    def step_fn(step: int, piece: int) -> Mapping[str, Tensor]:
        if step == killed_at:
            raise Stopped
        inputs = torch.from_numpy(np.random.default_rng([step, piece]).random((4, 6), np.float32))
        # Every global generator matters.
        noise = random.random() + np.random.random() + torch.rand(()).item()
        loss = (net(inputs).squeeze(1) - inputs.sum(dim=1) - noise).square().mean()
        return {"loss": loss, "noise": torch.tensor(noise)}

    return step_fn


def _loop(net: nn.Module, folder: Path, seed: int = 3, **changes: object) -> Loop:
    settings = {"steps": 12, "save_every": 3, "accumulate": 2, "average_decay": 0.9} | changes
    return Loop(
        net,
        [Group(list(net.parameters()), 0.05, 0.01)],
        LoopSettings(**settings),  # type: ignore[arg-type]
        seed=seed,
        checkpoints=Checkpoints(folder, {"seed": seed} | settings),
        validate=lambda: {"drawn": torch.rand(()).item()},
    )


@pytest.mark.parametrize("killed_at", [1, 3, 7, 11])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_broken_run_ends_with_the_weights_of_an_unbroken_one(
    tmp_path: Path, killed_at: int, precision: str
) -> None:
    whole = _net()
    unbroken = _loop(whole, tmp_path / "whole", precision=precision)
    assert unbroken.run(_step_fn(whole))
    broken = _net()
    with pytest.raises(Stopped):
        _loop(broken, tmp_path / "broken", precision=precision).run(_step_fn(broken, killed_at))
    resumed = _net()
    loop = _loop(resumed, tmp_path / "broken", precision=precision)
    assert loop.resume() == killed_at // 3 * 3
    assert loop.run(_step_fn(resumed))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    with unbroken.averaged(), loop.averaged():
        for name, value in whole.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[name]), name


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    first, second = _net(), _net()
    _loop(first, tmp_path / "a", seed=1).run(_step_fn(first))
    _loop(second, tmp_path / "b", seed=2).run(_step_fn(second))
    assert not torch.equal(first[0].weight, second[0].weight)  # type: ignore[index]


def test_how_often_it_validates_changes_nothing(tmp_path: Path) -> None:
    often, never = _net(), _net()
    _loop(often, tmp_path / "a", validate_every=1).run(_step_fn(often))
    _loop(never, tmp_path / "b").run(_step_fn(never))
    assert torch.equal(often[0].weight, never[0].weight)  # type: ignore[index]


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    net = _net()
    _loop(net, tmp_path).run(_step_fn(net))
    with pytest.raises(SettingsDiffer, match="accumulate: 2 in the checkpoint, 4 now"):
        _loop(net, tmp_path, accumulate=4).resume()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    net = _net()
    _loop(net, tmp_path).run(_step_fn(net))
    newest = sorted(tmp_path.glob("*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(CheckpointUnreadable, match=newest.name):
        _loop(net, tmp_path).resume()


def test_only_the_newest_checkpoints_stay_and_torn_drafts_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, {}, keep=2)
    (tmp_path / "step-00000009.draft").write_bytes(b"half")
    for step in (1, 2, 10):
        checkpoints.save(step, {"value": step})
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-00000002.pt",
        "step-00000010.pt",
    ]
    newest = checkpoints.newest()
    assert newest is not None
    assert (newest.step, newest.state) == (10, {"value": 10})


def test_a_request_to_stop_saves_and_ends(tmp_path: Path) -> None:
    net = _net()
    loop = _loop(net, tmp_path, save_every=100)
    step_fn = _step_fn(net)

    def stopping(step: int, piece: int) -> Mapping[str, Tensor]:
        if step == 4:
            loop.request_stop()
        return step_fn(step, piece)

    assert not loop.run(stopping)
    assert loop.step == 5
    again = _net()
    assert _loop(again, tmp_path, save_every=100).resume() == 5
    assert torch.equal(again[0].weight, net[0].weight)  # type: ignore[index]


def test_a_diverged_run_says_so_and_saves_nothing(tmp_path: Path) -> None:
    net = _net()
    loop = _loop(net, tmp_path, save_every=1)

    def diverging(step: int, piece: int) -> Mapping[str, Tensor]:
        return {"loss": net(torch.ones(1, 6)).sum() * float("nan")}

    with pytest.raises(TrainingDiverged, match="step 1"):
        loop.run(diverging)
    assert not list(tmp_path.iterdir())


def test_accumulated_pieces_are_one_mean(tmp_path: Path) -> None:
    nets = [nn.Linear(3, 1), nn.Linear(3, 1)]
    nets[1].load_state_dict(nets[0].state_dict())
    inputs = torch.arange(12.0).reshape(4, 3) / 10
    for net, pieces in zip(nets, (1, 2), strict=True):

        def step_fn(
            step: int, piece: int, net: nn.Module = net, pieces: int = pieces
        ) -> Mapping[str, Tensor]:
            return {"loss": functional.softplus(net(inputs.chunk(pieces)[piece])).mean()}

        groups = [Group(list(net.parameters()), 0.1)]
        Loop(net, groups, LoopSettings(steps=5, accumulate=pieces), seed=0).run(step_fn)
    torch.testing.assert_close(nets[0].weight, nets[1].weight)


def test_frozen_parameters_alone_are_nothing_to_train() -> None:
    net = _net().requires_grad_(requires_grad=False)
    with pytest.raises(ValueError, match="nothing to train"):
        Loop(net, [Group(list(net.parameters()), 0.1)], LoopSettings(steps=1), seed=0)


def test_half_precision_floats_need_cuda() -> None:
    net = _net()
    with pytest.raises(ValueError, match="fp16 needs CUDA"):
        Loop(
            net,
            [Group(list(net.parameters()), 0.1)],
            LoopSettings(steps=1, precision="fp16"),
            seed=0,
        )


def test_the_pace_warms_up_then_falls_to_the_floor() -> None:
    pace = warm_up_cosine(steps=10, warm_up=2, floor=0.1)
    assert [pace(0), pace(1), pace(2)] == [0.5, 1.0, 1.0]
    assert pace(6) == pytest.approx(0.55)
    assert pace(10) == pytest.approx(0.1)


def test_the_log_of_a_resumed_run_has_each_step_once(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", 9)
    for step in (2, 4, 6):
        log(step, {"loss": 1.0})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 8, "lo')
    log.cut(4)
    log(6, {"loss": 0.5})
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert lines == [
        '{"step": 2, "loss": 1.0}',
        '{"step": 4, "loss": 1.0}',
        '{"step": 6, "loss": 0.5}',
    ]
