"""Explanations survive storage."""

import json

import numpy as np

from inkling_server.answers import (
    ContentTags,
    Explanation,
    explanation_fields,
    explanation_of,
    find_row,
)
from inkling_server.interests.mentions.evidence import Evidence
from tests.serving import make_graph


def test_an_explanation_goes_to_json_and_back() -> None:
    for why in (
        Explanation(0.25, 1.5, -0.5, 0.75, 1.25, (Evidence("caption", 0.75, 2, "Two “dogs”"),)),
        Explanation(0.0, 0.0, 0.0),
    ):
        assert explanation_of(json.loads(json.dumps(explanation_fields(why)))) == why


def test_rows_are_found_by_id() -> None:
    interests = make_graph().interests
    assert [find_row(interests, one.id) for one in interests] == list(range(len(interests)))
    assert find_row(interests, "zebra") is find_row(interests, "") is None


def test_content_tags_show_no_embedding() -> None:
    tags = ContentTags((), "g1", "m1", "f1", np.ones(3, np.float32))
    assert "embedding" not in repr(tags)
