"""Looks through a video's packets, without decoding any, and says which to decode.

    packets ─► true duration, key frames ─► all of them, where that is affordable
                                         └► key frames, and the groups in which something happens

A group is a key frame and what depends on it. Part of the decoding process; it knows no pictures.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inkling_server.errors import VideoInvalid, VideoTooLarge
from inkling_server.video.opening import Source
from inkling_server.video.records import VideoLimits

# What decoding may cost, in pixels. Reading a byte of the stream takes about as long as making
# fifty pixels, some 50 ns (H.264, 1080p, at 0.5 and at 15 Mbit/s); so this is some 4.5 s of one
# core, and a minute of 1080p at 30 frames a second and 2 Mbit/s is just decoded in full.
AFFORDABLE_PIXELS = 4_500_000_000
_PIXELS_PER_BYTE = 50
_LONGEST_GROUP_S = 12.0
_MOST_FRAMES_PER_S = 250
# How much less than its header says a file may hold.
_MISSING_SHARE, _MISSING_S = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Survey:
    """A video by its packets.

    Attributes:
        origin_s: presentation time of the first frame.
        duration_s: from there to the end of the last.
        key_times_s: of the key frames, from the video's first frame, in order.
        key_packets: their numbers.
        sizes: of all packets, in bytes.
    """

    origin_s: float
    duration_s: float
    key_times_s: tuple[float, ...]
    key_packets: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def packet_count(self) -> int:
        """Of the video stream."""
        return len(self.sizes)

    @property
    def frames_per_s(self) -> float:
        """On average."""
        return self.packet_count / self.duration_s

    def cost(self, packets: range, pixels: int) -> int:
        """What decoding some packets costs, in pixels, where a frame has `pixels`."""
        size = sum(self.sizes[packets.start : packets.stop])
        return len(packets) * pixels + _PIXELS_PER_BYTE * size


def survey(source: Source, limits: VideoLimits, check_time: Callable[[], None]) -> Survey:
    """Reads all packets of the video.

    Args:
        source: just opened.
        limits: the duration is limited, and the number of packets with it.
        check_time: raises when time is up.

    Raises:
        VideoInvalid: there are none, or far fewer than the header says.
        VideoTooLarge: longer than allowed, whatever the header says.
    """
    most = int(limits.max_duration_s * _MOST_FRAMES_PER_S)
    times: list[float] = []
    keys: list[int] = []
    sizes: list[int] = []
    end_s = 0.0
    fallback_s = 1 / float(source.video.average_rate or 25)
    for packet in source.container.demux(source.video):
        if packet.size == 0:
            continue  # the end
        check_time()
        time_s = _time_s(packet, times[-1] + fallback_s if times else 0.0)
        lasts_s = float(packet.duration * packet.time_base) if packet.duration else fallback_s
        if packet.is_keyframe:
            keys.append(len(times))
        times.append(time_s)
        sizes.append(packet.size)
        end_s = max(end_s, time_s + lasts_s)
        if end_s - times[0] > limits.max_duration_s + 1:
            raise VideoTooLarge("video seconds", None, limits.max_duration_s)
        if len(times) > most:
            raise VideoTooLarge("video frames", None, most)
    if not times:
        raise VideoInvalid("damaged or truncated: there are no frames in it")
    origin_s = min(times)
    duration_s = max(end_s - origin_s, 1e-3)
    if duration_s > limits.max_duration_s:
        raise VideoTooLarge("video seconds", round(duration_s, 1), limits.max_duration_s)
    said_s = source.said_s or 0.0
    if said_s - duration_s > max(_MISSING_S, _MISSING_SHARE * said_s):
        raise VideoInvalid(
            f"truncated: its header says {said_s:.1f} s, and there are {duration_s:.1f} s"
        )
    key_times_s = tuple(times[n] - origin_s for n in keys)
    return Survey(origin_s, duration_s, key_times_s, tuple(keys), tuple(sizes))


def needs_choice(survey: Survey, pixels: int) -> bool:
    """Whether decoding all of it costs too much, and its key frames tell enough."""
    cost = survey.cost(range(survey.packet_count), pixels)
    if cost <= AFFORDABLE_PIXELS or len(survey.key_packets) < 3:
        return False
    edges = [0.0, *survey.key_times_s, survey.duration_s]
    return max(b - a for a, b in itertools.pairwise(edges)) <= _LONGEST_GROUP_S


def sparse_keys(survey: Survey, pixels: int) -> tuple[int, ...]:
    """Key frames to look at first, as packet numbers: all, or evenly spaced ones."""
    cost = sum(survey.cost(range(n, n + 1), pixels) for n in survey.key_packets)
    # They are decoded twice: to choose, and then for good.
    share = min(AFFORDABLE_PIXELS / 4 / cost, 1.0)
    most = max(int(share * len(survey.key_packets)), 16)
    gap_s, last_s = survey.duration_s / most, -1e9
    chosen = []
    for number, time_s in zip(survey.key_packets, survey.key_times_s, strict=True):
        if share == 1.0 or time_s - last_s >= gap_s:
            chosen.append(number)
            last_s = time_s
    return tuple(chosen)


def choose_packets(
    survey: Survey, keys: Sequence[int], changes: Sequence[float], pixels: int
) -> frozenset[int]:
    """Packets to decode: the key frames, and whole groups by how much happens in them.

    Args:
        survey: of the video.
        keys: packet numbers of the key frames that were looked at.
        changes: how different each is from the next one, in [0, 1]; for the last one anything.
        pixels: of a frame.
    """
    ends = [*keys[1:], survey.packet_count]
    left = AFFORDABLE_PIXELS - 2 * sum(survey.cost(range(n, n + 1), pixels) for n in keys)
    chosen = set(keys)
    for _, start, end in sorted(zip(changes, keys, ends, strict=True), key=lambda g: -g[0]):
        group = range(start, end)
        cost = survey.cost(group[1:], pixels)
        if cost <= left:
            left -= cost
            chosen.update(group)
    return frozenset(chosen)


def _time_s(packet: Any, otherwise_s: float) -> float:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return otherwise_s if stamp is None else float(stamp * packet.time_base)
