"""The simulated queue against what theory says of the simplest ones."""

import numpy as np
import pytest

from benchmarks import bench_queue
from benchmarks.bench_queue import latencies_ms


def test_one_core_without_batches_is_as_pollaczek_and_khinchine_say() -> None:
    busy, service_ms = 0.7, 10.0
    gaps = np.random.default_rng(3).exponential(service_ms / busy, 200_000)
    taken = latencies_ms(np.cumsum(gaps).tolist(), cores=1, fixed_ms=4.0, picture_ms=6.0, most=1)
    # M/D/1: the mean wait is busy * service / (2 (1 - busy)).
    expected_ms = service_ms * (1 + busy / (2 * (1 - busy)))
    assert np.mean(taken) == pytest.approx(expected_ms, rel=0.03)


def test_free_core_takes_what_waits_and_no_more_than_allowed() -> None:
    arrivals = [0.0, 1.0, 2.0, 3.0, 100.0]
    taken = latencies_ms(arrivals, cores=1, fixed_ms=5.0, picture_ms=10.0, most=2)
    # 0 alone until 15; 1 and 2 until 40; 3 alone until 55; 100 alone.
    assert taken == [15.0, 39.0, 38.0, 52.0, 15.0]


def test_second_core_works_beside_the_first() -> None:
    taken = latencies_ms([0.0, 1.0], cores=2, fixed_ms=0.0, picture_ms=10.0, most=8)
    assert taken == [10.0, 10.0]


def test_report_has_a_row_for_each_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_queue, "_ARRIVALS", 2_000)
    bench_queue.main([])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(bench_queue.CORES) * len(bench_queue.FIXED_MS)
