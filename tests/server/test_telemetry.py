"""Metrics that say what happened, and log lines that say it without naming anyone."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Literal

import pytest

from inkling_server.tag_index import SearchThread
from inkling_server.telemetry import LogFormatter, Metrics, set_up_logging
from tests.serving import make_graph, make_state


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample of ours: name with labels -> value."""
    lines = metrics.render().decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("inkling")]
    return {name: float(value) for name, value in pairs}


def test_rpcs_are_counted_by_code_and_reason() -> None:
    metrics = Metrics()
    metrics.rpc_started("Tag")
    metrics.rpc_started("Tag")
    metrics.rpc_finished("Tag", "INVALID_ARGUMENT", "IMAGE_INVALID", 0.02)
    seen = samples(metrics)
    key = 'inkling_rpcs_total{code="INVALID_ARGUMENT",reason="IMAGE_INVALID",rpc="Tag"}'
    assert seen[key] == 1
    assert seen['inkling_rpcs_under_way{rpc="Tag"}'] == 1
    assert seen['inkling_rpc_seconds_count{rpc="Tag"}'] == 1


def test_pipeline_is_measured_stage_by_stage() -> None:
    metrics = Metrics()
    metrics.stage_finished("decode", 0.004, 1)
    metrics.batch_started(3, 5, [0.001, 0.002, 0.003])
    metrics.stage_finished("encode", 0.1, 3)
    metrics.stage_finished("search", 0.001, 3)
    metrics.batch_finished(3, 0.11, failed=True)
    metrics.item_dropped("expired")
    metrics.overloaded()
    seen = samples(metrics)
    assert seen['inkling_stage_seconds_count{stage="decode"}'] == 1
    assert seen['inkling_stage_seconds_sum{stage="encode"}'] == pytest.approx(0.1)
    assert seen["inkling_queue_seconds_count"] == 3
    assert seen["inkling_batch_size_sum"] == 3
    assert seen["inkling_failed_batches_total"] == 1
    assert seen["inkling_pictures_total"] == metrics.picture_count == 3
    assert seen['inkling_dropped_pictures_total{why="expired"}'] == 1
    assert seen["inkling_overloaded_total"] == 1


def test_life_of_the_server_is_measured() -> None:
    metrics = Metrics()
    metrics.versions(server="0.1.0", model="m:1:f", graph="g")
    metrics.serving(True)
    metrics.canary_finished("ok", 0.05)
    metrics.encoder_restarted()
    metrics.watch("inkling_queue_depth", "Waiting.", lambda: 7)
    seen = samples(metrics)
    key = 'inkling_info{graph_version="g",model_version="m:1:f",server_version="0.1.0"}'
    assert seen[key] == 1
    assert seen["inkling_serving"] == 1
    assert seen['inkling_canaries_total{outcome="ok"}'] == 1
    assert seen["inkling_encoder_restarts_total"] == 1
    assert seen["inkling_queue_depth"] == 7


async def test_refreshes_are_counted_and_the_version_follows_the_swap() -> None:
    metrics = Metrics()
    metrics.versions(server="0.1.0", model="m:1:f", graph="g1")
    with SearchThread() as thread:
        metrics.graph_swapped(await make_state(thread, graph=make_graph("g2")))
    metrics.refresh_finished("done", 2.5)
    metrics.refresh_finished("failed", 1.5)
    seen = samples(metrics)
    infos = [name for name in seen if name.startswith("inkling_info")]
    assert len(infos) == 1
    assert 'graph_version="g2"' in infos[0]
    assert 'server_version="0.1.0"' in infos[0]
    assert seen['inkling_refreshes_total{outcome="done"}'] == 1
    assert seen['inkling_refreshes_total{outcome="failed"}'] == 1
    assert seen["inkling_refresh_seconds"] == 1.5
    assert seen["inkling_graph_swapped_timestamp_seconds"] > 1.7e9


def test_two_gateways_in_one_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.overloaded()
    assert samples(one)["inkling_overloaded_total"] == 1
    assert samples(other)["inkling_overloaded_total"] == 0


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "inkling_server.x", "levelno": logging.INFO, "levelname": "INFO", "msg": message}
    )
    vars(made).update(extra)
    return made


def test_text_lines_carry_extra_fields_and_quote_where_needed() -> None:
    line = LogFormatter("text").format(record("serving", port=7, why="a b", nothing=""))
    assert line.endswith('INFO    inkling_server.x: serving port=7 why="a b" nothing=""')


def test_json_lines_are_one_object_each() -> None:
    line = LogFormatter("json").format(record("two\nlines", port=7))
    assert "\n" not in line
    fields = json.loads(line)
    assert (fields["message"], fields["port"], fields["level"]) == ("two\nlines", 7, "info")


@pytest.mark.parametrize("style", ["text", "json"])
def test_exceptions_stay_on_the_line(style: Literal["text", "json"]) -> None:
    try:
        raise ValueError("x")
    except ValueError:
        line = LogFormatter(style).format(record("failed", exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError" in line


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, as it was before."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield root
    root.handlers, root.level = before


def test_logs_go_to_standard_error_from_the_chosen_level(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging("warning", "text")
    logging.getLogger("inkling_server.x").info("quiet")
    logging.getLogger("inkling_server.x").warning("loud")
    captured = capsys.readouterr()
    assert "loud" in captured.err
    assert "quiet" not in captured.err
    assert captured.out == ""
