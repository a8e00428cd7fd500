"""Criteria, costs and tables from results that are made up."""

from typing import Any

import pytest

from benchmarks.speed.cost import per_million
from benchmarks.speed.criteria import judge
from benchmarks.speed.memory import growth, with_broken
from benchmarks.speed.peers import best
from benchmarks.speed.rounds import summary
from benchmarks.speed.tables import table


def result(rate: float) -> dict[str, Any]:
    return {"rate": rate}


PEERS = {
    "results": {
        "inkling TagStream": result(430.0),
        "inkling Tag x32": result(390.0),
        "plain gRPC TagStream": result(210.0),
        "plain gRPC Tag x32": result(180.0),
        "LitServe x32": result(200.0),
    }
}


def test_the_best_peer_is_the_fastest_that_is_not_ours() -> None:
    assert best(PEERS["results"], kind="any") == ("plain gRPC TagStream", 210.0)
    assert best(PEERS["results"], kind="x32") == ("LitServe x32", 200.0)
    with pytest.raises(LookupError):
        best({"inkling TagStream": result(1.0)}, kind="any")


def test_peers_are_judged_by_their_best() -> None:
    stream, unary = judge({"peers": PEERS})
    assert stream.measured == pytest.approx(2.048, abs=0.001)
    assert stream.met
    assert unary.measured == pytest.approx(1.95)
    assert unary.note == "LitServe x32"


def test_latency_and_goodput_are_judged() -> None:
    found = {
        "unloaded_p50_ms": 4.0,
        "load": [{"share": 0.7, "goodput": 280.0, "latency_ms": {"p99": 24.0}}],
        "overload": [{"share": 1.0, "goodput": 390.0}, {"share": 3.0, "goodput": 312.0}],
    }
    waiting, goodput = judge({"open": found})
    assert waiting.measured == 6.0
    assert not waiting.met
    assert goodput.measured == pytest.approx(0.8)
    assert not goodput.met


def test_cost_of_a_million() -> None:
    # 1,000,000 / (100 / s) = 10,000 s = 2.78 hours of two processors.
    assert per_million(100.0, cores=2, price=0.04) == pytest.approx(0.2222, abs=1e-4)
    with pytest.raises(ValueError, match="allowed"):
        per_million(0.0, cores=2, price=0.04)


def test_growth_ignores_warming_up() -> None:
    def sample(requests: int, mib: float) -> dict[str, Any]:
        return {"requests": requests, "memory": {"gateway": {"rss_mib": mib}}}

    samples = [sample(n * 5000, 300.0 if n >= 2 else 200.0) for n in range(12)]
    flat = growth(samples, "gateway")
    assert flat is not None
    assert flat["mib_per_100k"] == pytest.approx(0, abs=1e-6)
    leak = growth([sample(n * 5000, 300 + n) for n in range(12)], "gateway")
    assert leak is not None
    assert leak["mib_per_100k"] == pytest.approx(20.0)
    assert growth(samples[:2], "gateway") is None


def test_every_sixteenth_picture_is_broken_also_of_few() -> None:
    mixed = with_broken([b"abcdef"] * 4)
    assert [len(p) for p in mixed] == [6] * 15 + [2]


def test_summary_takes_medians_and_adds_up_failures() -> None:
    def one(rate: float, failed: dict[str, int]) -> dict[str, Any]:
        counts = dict.fromkeys(("sent", "ok", "refused", "late", "cancelled"), 1)
        costs = {
            "server_cpu_ms_per_picture": rate,
            "client_cpu_ms_per_request": 1.0,
            "client_share_of_machine": 0.1,
        }
        return {"rate": rate, "latency_ms": {"p50": rate}, "failed": failed} | counts | costs

    found = summary([one(1.0, {"A": 1}), one(5.0, {}), one(3.0, {"A": 2, "B": 1})])
    assert found["rate"] == 3.0
    assert found["latency_ms"] == {"p50": 3.0}
    assert found["ok"] == 3
    assert found["failed"] == {"A": 3, "B": 1}
    with pytest.raises(ValueError, match="no rounds"):
        summary([])


def test_a_table_has_a_cell_for_each_column() -> None:
    lines = table(("", "x"), [("a", 1.234), ("b", None), ("c", 123.46)])
    assert lines == ["|  | x |", "|---|---:|", "| a | 1.23 |", "| b |  |", "| c | 123.5 |"]
