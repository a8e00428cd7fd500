"""The page is well-formed, whole, quiet and safe, whatever the phrases hold."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from inkling_server.interests.graph import Interest
from inkling_training.evaluation import curves, gate, plots, reliability, slices, tagging
from inkling_training.evaluation.bootstrap import draws
from inkling_training.evaluation.examples import Example, choose_examples, counts, thumbnail
from inkling_training.evaluation.headline import HEADLINE
from inkling_training.evaluation.page import render
from inkling_training.held_out import HeldOut
from tests.training.evaluation import small

pytestmark = pytest.mark.training

HOSTILE = "<script>alert(\"1\")</script> & <b onclick='x'> $\\frac{$"
HTML = "{http://www.w3.org/1999/xhtml}"


def _hostile_part() -> HeldOut:
    part = small.held_out(60, 8)
    names = tuple(Interest(f"i{n}", f"{HOSTILE} {n}") for n in range(8))
    return HeldOut(part.records, names, part.pictures_BD, part.phrases_VD, part.gold)


def _whole_report(part: HeldOut) -> dict[str, Any]:
    """A report with a figure for every plot and table."""
    ours = tagging.judge_all(part, small.CALIBRATION, np.linspace(0, 1, len(part.interests)))
    rows = {name: variant.rows for name, variant in ours.items()}
    answer = ours[tagging.WITH]
    phrases = [interest.phrase for interest in part.interests]
    report = small.old_report(model=HOSTILE, hardware=HOSTILE) | {
        "tagging, all parts": tagging.tagging(rows),
        "headline": {
            figure.name: {"better": figure.better, "value": 0.5, "low": 0.4, "high": 0.6}
            for figure in HEADLINE
        },
        "slices": slices.slices(
            answer.rows,
            slices.groupings(part.records, answer.rows.gold_B),
            draws(len(part.records), 20),
        ),
        "curves": {
            "by N and threshold": curves.by_n_and_threshold(
                answer.rows, small.old_report()["operating point"]["min_score"]
            ),
            "precision and recall": {n: curves.precision_recall(v.sums) for n, v in ours.items()},
            "scores": curves.score_histogram(answer.sums),
        },
        "calibration": reliability.calibration(answer, part.interests),
        "AP by tag": {"phrase": phrases, "right": [5] * 8, "AP": [0.5] * 8},
        "retrieval": {"of": ["photos"], "pictures": 5, "captions": 9},
        "class accuracy": {HOSTILE: {"classes": 2, "pictures": 9, "top1": 0.5}},
        "clustering": {},
        "unseen classes": {
            HOSTILE: {
                "pictures": 3,
                "all classes": 4,
                "top1 of all": 0.1,
                "unseen classes": 2,
                "top1 of unseen": 0.5,
            }
        },
        "nested dimensions": {"8": {"precision": 0.4}, "16": {"precision": 0.5}},
        "bundled photos": {HOSTILE: {"right in first three": True, "tags": {HOSTILE: 0.5}}},
        "data": {"fingerprint": "a", "sources": {HOSTILE: 3}},
        "settings": {"pictures": HOSTILE},
    }
    report["comparison"] = gate.as_json(gate.compare(small.old_report(model=HOSTILE), report))
    return report


@pytest.fixture(scope="module")
def page() -> str:
    part = _hostile_part()
    report = _whole_report(part)
    rows = tagging.judge_model(part, small.CALIBRATION).rows
    return render(report, choose_examples(part, rows, small.POINT))


@pytest.fixture(scope="module")
def tree(page: str) -> ET.Element:
    return ET.fromstring(page)


def _all(tree: ET.Element, name: str) -> Iterator[ET.Element]:
    return (element for element in tree.iter() if element.tag.rpartition("}")[2] == name)


def test_page_is_well_formed_and_holds_every_section_and_plot(tree: ET.Element) -> None:
    sections = {element.get("id") for element in _all(tree, "section")}
    assert sections == {
        *("headline", "comparison", "tagging", "slices", "calibration", "matching"),
        *("by-tag", "examples", "bundled", "settings"),
    }
    drawn = {element.get("id") for element in _all(tree, "figure")}
    assert drawn == {
        f"plot-{name}"
        for name in (
            *("thresholds", "trade", "precision-recall", "reliability", "scores", "by-source"),
            *("by-size", "by-tags", "retrieval", "classes", "nested"),
        )
    }


def test_hostile_phrases_stay_text(page: str, tree: ET.Element) -> None:
    assert HOSTILE in "".join(tree.itertext())
    assert not list(_all(tree, "script"))
    assert not list(_all(tree, "b"))
    assert not any("onclick" in element.attrib for element in tree.iter())
    assert "<script" not in page


def test_page_loads_nothing(page: str, tree: ET.Element) -> None:
    for element in tree.iter():
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] in ("src", "href"):
                assert value.startswith(("data:", "#")), value
    assert not list(_all(tree, "link"))
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_ids_are_unique_and_references_lead_somewhere(page: str, tree: ET.Element) -> None:
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    named = set(re.findall(r"url\(#([^)]+)\)", page))
    named |= {
        value[1:]
        for element in tree.iter()
        for name, value in element.attrib.items()
        if name.rpartition("}")[2] == "href"
    }
    assert named <= set(ids)


def test_every_picture_and_plot_has_words(tree: ET.Element) -> None:
    assert all(element.get("alt") for element in _all(tree, "img"))
    drawn = [element for element in _all(tree, "svg") if element.get("aria-hidden") != "true"]
    assert drawn
    assert all(element.get("aria-label") and element.get("role") == "img" for element in drawn)


def test_plots_follow_the_page_s_colours(page: str) -> None:
    assert "#0a0b" not in page
    assert "var(--series-1)" in page
    assert "prefers-color-scheme: dark" in page


def test_old_report_makes_a_smaller_page() -> None:
    tree = ET.fromstring(render(small.old_report()))
    sections = {element.get("id") for element in _all(tree, "section")}
    assert "tagging" in sections
    assert not sections & {"calibration", "examples", "comparison", "by-tag"}


def test_plot_without_figures_is_left_out() -> None:
    assert plots.draw(small.old_report()).keys() <= {"classes"}


def test_examples_are_the_same_for_every_model_and_as_many_from_each_source() -> None:
    part = small.held_out(60)
    rows = tagging.judge_model(part, small.CALIBRATION).rows
    blind = tagging.judge_all(part, small.CALIBRATION, np.linspace(0, 1, 20))[tagging.FREQUENT]
    ours = choose_examples(part, rows, small.POINT, seed=3)
    theirs = choose_examples(part, blind.rows, small.POINT, seed=3)
    assert [example.source for example in ours] == ["drawings"] * 4 + ["photos"] * 4
    assert [e.picture for e in ours] == [e.picture for e in theirs]


def test_examples_say_right_wrong_and_missed() -> None:
    part = small.held_out(60)
    rows = tagging.judge_model(part, small.CALIBRATION).rows
    examples = choose_examples(part, rows, small.POINT)
    told = counts(examples)
    assert told["right"] > 0
    for example in examples:
        assert len(example.given) <= small.POINT.top_n
        assert all(tag.score > small.POINT.min_score for tag in example.given)
        assert not {tag.phrase for tag in example.given} & set(example.missed)


def test_thumbnail_is_small_and_loses_metadata() -> None:
    uri, width, height = thumbnail(small.picture(size=(800, 400)))
    assert (width, height) == (192, 96)
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(uri) < 5000
    page = render(small.old_report(), [Example(HOSTILE, uri, width, height, (), ())])
    assert len(list(_all(ET.fromstring(page), "img"))) == 1
