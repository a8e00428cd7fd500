"""Sources are independent witnesses, and none is ever believed beyond its worth."""

import pytest

from inkling_server.interests.mentions.reliability import Reliability, Witnesses

TABLE = {"caption": Reliability(0.75, 0.95), "comment": Reliability(0.2, 0.35)}


def test_doubts_multiply_within_a_source_down_to_what_it_is_worth() -> None:
    heard = Witnesses(TABLE)
    heard.hear("caption", 1.0)
    heard.hear("caption", 0.4)
    assert heard.doubts() == {"caption": pytest.approx(0.25 * 0.7)}
    for _ in range(100):
        heard.hear("comment", 1.0)
    assert heard.doubts()["comment"] == pytest.approx(0.65)


@pytest.mark.parametrize(("once", "most"), [(0, 1), (0.5, 0.4), (0.5, 1.2), (-1, 1)])
def test_a_reliability_outside_its_range_is_refused(once: float, most: float) -> None:
    with pytest.raises(ValueError, match="once"):
        Reliability(once, most)
