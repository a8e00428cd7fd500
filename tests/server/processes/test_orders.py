"""What owner and follower tell each other survives the way."""

from dataclasses import replace
from pathlib import Path

import pytest

from inkling_server.processes.orders import (
    Orders,
    Report,
    Shared,
    Target,
    orders_from_json,
    orders_to_json,
    report_from_json,
    target_from_json,
    to_json,
)
from tests.server.gateway_kit import gateway_settings


def orders(tmp_path: Path, url: str) -> Orders:
    settings = gateway_settings(tmp_path, database_url=url, languages=("en", "fr"), processes=3)
    shared = Shared(settings, 50_051, "127.0.0.1:1", True, tmp_path / "graph", tmp_path)
    return Orders(2, shared, Target(1, "g1"))


def test_orders_survive_the_way(tmp_path: Path) -> None:
    given = orders(tmp_path, "postgresql://u:secret@h/d")
    assert orders_from_json(orders_to_json(given)) == given


def test_orders_do_not_show_settings(tmp_path: Path) -> None:
    assert "secret" not in repr(orders(tmp_path, "postgresql://u:secret@h/d"))


@pytest.mark.parametrize(
    "report",
    [
        Report(serving=True, problem="", target=Target(2, "g2"), models=(1, 2)),
        Report(serving=False, problem="starting", target=None, models=()),
    ],
)
def test_reports_and_targets_survive_the_way(report: Report) -> None:
    assert report_from_json(to_json(report)) == report
    if report.target is not None:
        assert target_from_json(to_json(report.target)) == report.target


@pytest.mark.parametrize("values", [None, {}, {"serving": True}, {"target": "x"}])
def test_damaged_reports_are_errors_that_are_expected(values: object) -> None:
    with pytest.raises(ValueError, match="Report"):
        report_from_json(values)


def test_decoding_threads_share_the_processors(tmp_path: Path) -> None:
    alone = gateway_settings(tmp_path).decode_threads
    assert gateway_settings(tmp_path, processes=2).decode_threads == max(1, alone // 2)
    assert gateway_settings(tmp_path, processes=256).decode_threads == max(1, alone // 256)
    assert gateway_settings(tmp_path, processes=2, decode_threads=7).decode_threads == 7
    assert replace(orders(tmp_path, "off"), number=1).shared.settings.decode_threads >= 1
