"""One page of metrics for several processes."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inkling_server.processes.joined_metrics import (
    families_from_json,
    families_to_json,
    render_joined,
)
from inkling_server.telemetry import Metrics


def counted(pictures: int) -> Metrics:
    metrics = Metrics()
    metrics.stage_finished("search", 0.002, pictures)
    metrics.rpc_started("Tag")
    metrics.rpc_finished("Tag", "OK", "", 0.01)
    metrics.versions(server="1", model="m", graph="g")
    return metrics


def test_each_sample_says_whose_it_is_and_each_family_comes_once() -> None:
    others = json.loads(json.dumps(families_to_json(counted(5).families())))
    page = render_joined(counted(3).families(), {1: others, 2: "nonsense"}).decode()
    families = list(text_string_to_metric_families(page))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    pictures = next(f for f in families if f.name == "inkling_pictures")
    totals = {s.labels["process"]: s.value for s in pictures.samples if s.name.endswith("_total")}
    assert totals == {"0": 3.0, "1": 5.0}
    assert all(s.labels["process"] in "01" for family in families for s in family.samples)


def test_histograms_and_their_infinite_bucket_survive() -> None:
    alone = counted(3).families()
    values = json.loads(json.dumps(families_to_json(alone)))
    page = render_joined([], {4: values}).decode()
    assert 'inkling_rpc_seconds_bucket{le="+Inf",process="4",rpc="Tag"} 1.0' in page
    assert 'inkling_rpc_seconds_count{process="4",rpc="Tag"} 1.0' in page


@pytest.mark.parametrize("values", [None, 3, [{}], [{"name": "a", "what": "", "kind": "gauge"}]])
def test_nonsense_is_an_error_that_is_expected(values: object) -> None:
    with pytest.raises(ValueError, match="no metrics"):
        families_from_json(values)
