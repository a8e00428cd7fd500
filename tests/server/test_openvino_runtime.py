"""OpenVINO on many batches at a time: everybody gets the numbers that they would get alone."""

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from openvino import opset13 as opset

from inkling_server.openvino_runtime import OpenVinoRuntime
from inkling_server.row_batches import Arrays, Batch
from tests.serving import until

WIDTH = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tokens [B, L] -> [B, WIDTH]: their mean, times random weights; L is free."""
    tokens = opset.parameter([-1, -1], np.int64, name="tokens")
    mean = opset.reduce_mean(
        opset.convert(tokens, np.float32), opset.constant(np.array([1], np.int64)), keep_dims=True
    )
    weights = np.random.default_rng(3).standard_normal((1, WIDTH)).astype(np.float32)
    result = opset.multiply(mean, opset.constant(weights))
    path = tmp_path_factory.mktemp("openvino") / "model.xml"
    openvino.save_model(openvino.Model([result], [tokens], "mean"), path, compress_to_fp16=False)
    return path


def open_model(model: Path, *, streams: int = 2, chunk: int = 4) -> OpenVinoRuntime:
    return OpenVinoRuntime(
        model, precision="f32", threads=2, streams=streams, chunk=chunk, cache_dir=None
    )


def tokens(rows: int, length: int, seed: int) -> Arrays:
    return {"tokens": np.random.default_rng(seed).integers(0, 99, (rows, length), np.int64)}


def start(runtime: OpenVinoRuntime, inputs: Sequence[Arrays]) -> list[NDArray[np.float32]]:
    """The answers, in the order of the inputs, as they come."""
    answers: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(inputs)

    def done(number: int, result: NDArray[np.float32] | Exception) -> None:
        answers[number] = result if isinstance(result, np.ndarray) else np.array([np.nan])

    for number, one in enumerate(inputs):
        runtime.start([Batch(one, partial(done, number))])
    return answers


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("chunk", [0, 4])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 9, 32])
def test_rows_are_those_of_one_inference(model: Path, streams: int, chunk: int, rows: int) -> None:
    runtime = open_model(model, streams=streams, chunk=chunk)
    inputs = tokens(rows, 5, seed=rows)
    expected = openvino.Core().compile_model(str(model), "CPU")([inputs["tokens"]])[0]
    np.testing.assert_allclose(runtime.run(inputs), expected, rtol=1e-6)


async def test_batches_at_a_time_of_all_sizes_and_lengths_get_their_own_rows(model: Path) -> None:
    runtime = open_model(model)
    rng = np.random.default_rng(5)
    inputs = [
        tokens(int(rng.integers(1, 10)), int(rng.choice([3, 3, 3, 6])), seed) for seed in range(200)
    ]
    expected = [runtime.run(one) for one in inputs]
    answers = start(runtime, inputs)
    await until(lambda: all(map(len, answers)), timeout_s=20)
    for answer, alone in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer, alone, rtol=1e-6)


async def test_what_cannot_be_run_fails_alone(model: Path) -> None:
    runtime = open_model(model, streams=1)
    wrong = {"tokens": np.zeros((2, 5, 1), np.int64)}
    fine = tokens(2, 5, seed=1)
    answers = start(runtime, [fine, wrong, fine])
    await until(lambda: all(map(len, answers)), timeout_s=20)
    assert np.isnan(answers[1]).all()
    np.testing.assert_array_equal(answers[0], answers[2])
    with pytest.raises(RuntimeError):
        runtime.run(wrong)
    np.testing.assert_array_equal(runtime.run(fine), answers[0])


async def test_a_model_that_nobody_has_any_more_leaves_no_thread(model: Path) -> None:
    before = set(threading.enumerate())
    runtime = open_model(model)
    runtime.run(tokens(3, 5, seed=1))
    its_own = set(threading.enumerate()) - before
    assert len(its_own) == 4  # two for each stream
    del runtime
    await until(lambda: not any(thread.is_alive() for thread in its_own), timeout_s=10)
