"""The sample of recent pictures: bounded, recent, and not one client's."""

from inkling_server.rollout.sample import LiveSample


def test_first_pictures_are_all_kept() -> None:
    sample = LiveSample(4)
    for number in range(3):
        sample.offer(bytes([number]))
    assert sorted(sample.pictures()) == [b"\x00", b"\x01", b"\x02"]


def test_never_more_than_the_count() -> None:
    sample = LiveSample(4)
    for number in range(1_000):
        sample.offer(str(number).encode())
        assert len(sample.pictures()) <= 4


def test_sample_follows_what_is_recent() -> None:
    sample = LiveSample(4)
    for _ in range(500):
        sample.offer(b"old")
    for _ in range(2_000):
        sample.offer(b"new")
    assert set(sample.pictures()) == {b"new"}


def test_short_burst_does_not_fill_it() -> None:
    sample = LiveSample(32)
    for number in range(5_000):
        sample.offer(str(number).encode())
    for _ in range(32):
        sample.offer(b"burst")
    assert sample.pictures().count(b"burst") < 16


def test_bytes_are_bounded() -> None:
    sample = LiveSample(100, max_bytes=1_000)
    for number in range(500):
        sample.offer(bytes([number % 256]) * (50 + number % 70))
        assert sum(map(len, sample.pictures())) <= 1_000
    assert sample.pictures()


def test_one_huge_picture_is_passed_over() -> None:
    sample = LiveSample(100, max_bytes=1_000)
    sample.offer(b"x" * 126)
    assert sample.pictures() == ()


def test_zero_keeps_nothing() -> None:
    sample = LiveSample(0)
    sample.offer(b"x")
    assert sample.pictures() == ()
