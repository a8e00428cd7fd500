"""What is left of a refresh, by its own pace and by the last one."""

import pytest

from inkling_server.interests.stages import Stage
from inkling_server.refresh.eta import Eta
from inkling_server.refresh.operation import Progress


def test_present_stage_goes_by_its_own_pace() -> None:
    eta = Eta({}, 100.0)
    eta.update(Stage.READING, 0, 1000, 110.0)
    progress = eta.update(Stage.READING, 250, 1000, 120.0)
    assert progress == Progress(Stage.READING, 250, 1000, 30.0)


def test_later_stages_take_as_long_as_last_time() -> None:
    eta = Eta({Stage.LOADING: 50.0, Stage.READING: 99.0, Stage.RANKING: 7.0, Stage.DONE: 0.0}, 0.0)
    progress = eta.update(Stage.READING, 500, 1000, 0.0)
    assert progress.remaining_s == pytest.approx(7.0)
    assert eta.update(Stage.READING, 750, 1000, 30.0).remaining_s == pytest.approx(10.0 + 7.0)


def test_stage_without_a_pace_takes_as_long_as_last_time_and_never_less_than_nothing() -> None:
    eta = Eta({Stage.TOPICS: 20.0, Stage.WRITING: 2.0}, 0.0)
    assert eta.update(Stage.TOPICS, 0, 1, 0.0).remaining_s == pytest.approx(22.0)
    assert eta.update(Stage.TOPICS, 0, 1, 15.0).remaining_s == pytest.approx(7.0)
    assert eta.update(Stage.TOPICS, 0, 1, 60.0).remaining_s == pytest.approx(2.0)


def test_too_little_done_says_nothing_about_the_pace() -> None:
    eta = Eta({Stage.READING: 40.0}, 0.0)
    assert eta.update(Stage.READING, 1, 1000, 0.0).remaining_s == pytest.approx(40.0)
    assert eta.update(Stage.READING, 1, 1000, 10.0).remaining_s == pytest.approx(30.0)


def test_nothing_is_said_where_nothing_is_known() -> None:
    eta = Eta({}, 0.0)
    assert eta.update(Stage.LOADING, 0, 0, 1.0).remaining_s is None
    assert eta.update(Stage.TOPICS, 0, 1, 2.0).remaining_s is None


def test_more_done_than_there_was_is_not_negative_time() -> None:
    assert Eta({}, 0.0).update(Stage.READING, 12, 10, 5.0).remaining_s == 0.0


def test_finished_stages_are_timed() -> None:
    eta = Eta({}, 10.0)
    eta.update(Stage.LOADING, 0, 1, 10.5)
    eta.update(Stage.READING, 0, 1, 12.0)
    eta.update(Stage.READING, 1, 1, 15.0)
    assert eta.stage_s == {Stage.LOADING: 2.0}
    assert eta.update(Stage.DONE, 1, 1, 16.0).remaining_s == 0.0
    assert eta.stage_s == {Stage.LOADING: 2.0, Stage.READING: 4.0}
