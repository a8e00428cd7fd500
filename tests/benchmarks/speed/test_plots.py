"""Each plot can be drawn from results that are made up."""

from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.speed.plots import draw


def load_point(share: float) -> dict[str, Any]:
    return {
        "offered_rate": 400 * share,
        "goodput": min(400 * share, 380.0),
        "latency_ms": {"p50": 5.0 + share, "p99": 9.0 + 20 * share},
        "refused_share": max(0.0, 1 - 1 / share),
        "late_share": 0.0,
        "client_share_of_machine": 0.05 * share,
    }


def curve(of: str) -> dict[str, Any]:
    fit = {"exponent": 0.5, "r2": 0.9, "factor": 1.0}
    points = [{"x": x, of: 100.0 * x**0.5} for x in (1.0, 4.0, 16.0)]
    return {"points": points, "of": of, "fit": fit}


def test_every_section_is_drawn(tmp_path: Path) -> None:
    results = {
        "inkling TagStream": {"rate": 400.0, "spread": 0.02},
        "plain gRPC Tag x32": {"rate": 200.0, "spread": 0.1},
    }
    memory = {"gateway": {"rss_mib": 300.0}}
    sections = {
        "peers": {"results": results, "machine_limit": 550.0},
        "vit": {"results": results, "machine_limit": 550.0},
        "open": {
            "saturating_rate": 400.0,
            "unloaded_p50_ms": 5.0,
            "load": [load_point(s) for s in (0.1, 0.7)],
            "overload": [load_point(s) for s in (1.0, 3.0)],
        },
        "scaling": {
            "clients": curve("goodput"),
            "size": curve("server_cpu_ms_per_picture"),
            "batch": curve("goodput"),
        },
        "memory": {
            "growth": {"gateway": None},
            "samples": [{"requests": n * 5000, "memory": memory} for n in range(3)],
        },
    }
    drawn = draw({"sections": sections}, tmp_path / "out", "today")
    assert len(drawn) == 6
    for file in drawn:
        with Image.open(tmp_path / "out" / file) as picture:
            assert picture.width > 400
    assert draw({"sections": {}}, tmp_path / "none", "today") == []
