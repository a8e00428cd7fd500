"""The regression gate's comparing."""

from pathlib import Path

import pytest

from benchmarks.bench_check import as_table, read_committed, write_committed
from benchmarks.speed.ratios import Ratio, compare, joined, ratios_of_round, tolerance_for

COST = "gateway CPU / bare CPU"


def test_a_ratio_within_its_tolerance_passes_and_one_below_regresses() -> None:
    committed = {"speed": Ratio(2.0, 0.1)}
    (fine,) = compare({"speed": Ratio(1.85, 0.1)}, committed)
    (slow,) = compare({"speed": Ratio(1.75, 0.1)}, committed)
    assert not fine.regressed
    assert slow.regressed
    assert "REGRESSED" in "\n".join(as_table([slow]))


def test_a_cost_regresses_upwards() -> None:
    committed = {COST: Ratio(1.0, 0.2)}
    (cheap,) = compare({COST: Ratio(0.5, 0.1)}, committed)
    (dear,) = compare({COST: Ratio(1.25, 0.1)}, committed)
    assert not cheap.regressed
    assert dear.regressed


def test_a_better_ratio_is_no_regression() -> None:
    (better,) = compare({"speed": Ratio(9.0, 0.1)}, {"speed": Ratio(2.0, 0.1)})
    assert not better.regressed


def test_a_lost_ratio_regresses_and_a_new_one_does_not() -> None:
    lost, new = compare({"new": Ratio(1, 0.1)}, {"lost": Ratio(1, 0.1)})
    assert (lost.name, lost.regressed) == ("lost", True)
    assert (new.name, new.regressed) == ("new", False)


def test_nan_regresses() -> None:
    (broken,) = compare({"speed": Ratio(float("nan"), 0.1)}, {"speed": Ratio(2.0, 0.1)})
    assert broken.regressed


def test_tolerance_follows_the_spread_within_bounds() -> None:
    assert tolerance_for([1.0, 1.0, 1.0]) == 0.10
    assert tolerance_for([0.9, 1.0, 1.1]) == pytest.approx(0.15)
    assert tolerance_for([0.1, 1.0, 9.0]) == 0.35
    assert joined([{"a": 1.0}, {"a": 3.0}, {"a": 2.0}])["a"].value == 2.0


def test_ratios_of_a_round() -> None:
    bare = {"decode": 300.0, "encode": 300.0, "search": 300.0, "encode_fp32": 150.0}
    bare["cpu_ms_per_picture"] = 10.0
    fast = {"rate": 90.0, "server_cpu_ms_per_picture": 20.0}
    slow = {"rate": 45.0, "server_cpu_ms_per_picture": 40.0}
    names = ("TagStream", "Tag x32")
    results = {f"inkling {n}": fast for n in names} | {f"plain gRPC {n}": slow for n in names}
    found = ratios_of_round(bare, results)
    assert found["TagStream / machine limit"] == pytest.approx(0.9)
    assert found["TagStream / plain gRPC"] == pytest.approx(2.0)
    assert found["encode / ONNX Runtime fp32"] == pytest.approx(2.0)
    assert found[COST] == pytest.approx(2.0)
    with pytest.raises(ValueError, match="plain gRPC TagStream"):
        ratios_of_round(bare, results | {"plain gRPC TagStream": slow | {"rate": 0.0}})


def test_committed_ratios_are_kept_by_machine(tmp_path: Path) -> None:
    path = tmp_path / "results" / "ratios.json"
    write_committed(path, "this", {"speed": Ratio(2.0, 0.1)})
    write_committed(path, "that", {"speed": Ratio(3.0, 0.2)})
    assert read_committed(path, "this") == {"speed": Ratio(2.0, 0.1)}
    assert read_committed(path, "unknown") == {}
    assert read_committed(tmp_path / "none.json", "this") == {}
