"""What a probe accepts and what it does not, without a Triton."""

import json
import zlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from inkling_server.triton.client import InputTensor, TritonCallFailed, TritonClient
from inkling_server.triton.probe import REPORT, ModelProbe


class Model:
    """Stands in for one model behind Triton."""

    def __init__(self, *, reports: bool = True) -> None:
        self.result = np.full((1, 4), 0.5, np.float32)
        self.report_change: dict[str, Any] = {}
        self.inputs: Sequence[InputTensor] = ()
        self._outputs = ["embedding", *([REPORT] if reports else [])]

    async def metadata(self, model: str, version: int, *, timeout_s: float) -> Any:
        return SimpleNamespace(
            inputs=[
                SimpleNamespace(name="pixels", datatype="UINT8", shape=[-1, 2, 2, 3]),
                SimpleNamespace(name="ids", datatype="INT64", shape=[-1, -1]),
            ],
            outputs=[SimpleNamespace(name=name) for name in self._outputs],
        )

    async def infer(
        self,
        model: str,
        version: int,
        inputs: Sequence[InputTensor],
        outputs: Sequence[str],
        *,
        timeout_s: float,
    ) -> list[NDArray[Any]]:
        self.inputs = inputs
        assert list(outputs) == self._outputs
        report = {
            "runtime": "pencil and paper",
            "received": [zlib.crc32(tensor.array.data) for tensor in inputs],
            "sent": zlib.crc32(self.result.data),
            **self.report_change,
        }
        row = np.frombuffer(json.dumps(report).encode(), np.uint8)
        answers: list[NDArray[Any]] = [self.result, row[None]]
        return answers[: len(outputs)]


async def prepare(model: Model) -> ModelProbe:
    return await ModelProbe.prepare(cast(TritonClient, model), "m", 1, timeout_s=1)


async def test_honest_model_passes_and_says_what_it_runs_on() -> None:
    model = Model()
    probe = await prepare(model)
    assert await probe.run(timeout_s=1) == "pencil and paper"
    assert [tensor.array.shape for tensor in model.inputs] == [(1, 2, 2, 3), (1, 4)]
    assert len(np.unique(model.inputs[0].array)) > 6, "the picture is not flat"


async def test_model_that_reports_nothing_is_judged_by_its_result() -> None:
    model = Model(reports=False)
    probe = await prepare(model)
    assert await probe.run(timeout_s=1) == ""
    model.result = -model.result
    with pytest.raises(TritonCallFailed) as caught:
        await probe.run(timeout_s=1)
    assert "differs" in caught.value.detail


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
async def test_useless_results_fail(value: float) -> None:
    model = Model(reports=False)
    model.result[:] = value
    with pytest.raises(TritonCallFailed):
        await (await prepare(model)).run(timeout_s=1)


@pytest.mark.parametrize(
    ("change", "problem"), [({"received": [1, 2]}, "were sent"), ({"sent": 1}, "were received")]
)
async def test_numbers_that_changed_on_their_way_fail(change: dict[str, Any], problem: str) -> None:
    model = Model()
    model.report_change = change
    with pytest.raises(TritonCallFailed) as caught:
        await (await prepare(model)).run(timeout_s=1)
    assert problem in caught.value.detail
