"""Does TagVideo find what is shown, when it is shown, what is written and what is said; how fast?

    python -m benchmarks.bench_tag_video                            tables, JSON as the last line
    python -m benchmarks.bench_tag_video --out benchmarks/results   and both as files
    python -m benchmarks.bench_tag_video --look build/video         keeps videos and contact sheets

A real server (real Triton) on loopback. Two sets of ten videos (640 x 360, H.264 with AAC) are made
of photos of the sample data's validation part (INKLING_SAMPLE_DATA, else ../shared/data beside the
repository): eight scenes of 2 to 4 s each, of different classes, with cuts and half-second fades;
every other scene has a caption drawn over it (24 to 40 px), and a synthetic voice (flite or
espeak-ng, tools that are only run) says a sentence in each video. The first set's captions are
white in a black outline; its misses were looked at when captions were found to be their cause. The
second has other photos and captions of seven styles; nothing was chosen on it.

*Shown*: a scene counts where Tag, asked for its photo alone as the video shows it but without the
caption, gives the photo's class; found is an interval of that tag that begins and ends within a
second of the scene. A class that a neighbouring scene's photo is tagged with as well has no border
there, and is left out. *Written*: words of the captions in what was read. *Said*: words that are
interests of the graph, in what was recognised, and in the evidence of kind "speech". Speed: a
minute of 1080p, drifting photos, beside nothing else; memory is the proportional set of the server
and all that it has started, at its peak, over what it was before the first video.
"""

import argparse
import json
import random
import re
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.bench_video import KINDS, encode
from benchmarks.captioned_videos import (
    PLAIN,
    STYLES,
    VOICES,
    Made,
    Style,
    as_shown,
    different,
    make,
)
from benchmarks.report import hardware, versions, write_report
from inkling_client import Context, InklingClient, VideoResult
from inkling_training.data import load_records, sample_data_dir
from tests.server_process import ServerProcess

VIDEOS = 10
PARTS = frozenset({"caltech-101", "clothing-photos", "food-dishes", "grocery-store", "scenes-8"})
TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class VideoSet:
    """Ten videos.

    Attributes:
        name: for tables.
        seed: of the photos.
        first: number of the first video.
        styles: of the captions.
    """

    name: str
    seed: int
    first: int
    styles: tuple[Style, ...]


SETS = (
    VideoSet("first ten", 11, 0, (PLAIN,)),
    VideoSet("other photos, captions of seven styles", 12, 10, STYLES),
)


def words(text: str) -> list[str]:
    """Lower case, letters only."""
    return re.findall(r"[a-z]+", text.lower())


def judge(
    client: InklingClient, folder: Path, look: Path | None, video_set: VideoSet
) -> dict[str, Any]:
    """Makes and tags the videos of a set."""
    records = [r for r in load_records(sample_data_dir(), PARTS) if r.split == "val" and r.tags]
    rng = random.Random(video_set.seed)
    interests = set(interest_words(client))
    counts: Counter[str] = Counter()
    missed: list[dict[str, Any]] = []
    errors_s: list[float] = []
    for number in range(video_set.first, video_set.first + VIDEOS):
        made = make(folder, number, different(records, rng), video_set.styles)
        result = client.tag_video(
            made.path,
            top_n=100,
            explain=True,
            context=Context(read_text=True),
            transcribe=True,
            contact_sheet="png",
        )
        if look is not None:
            (look / made.path.name).write_bytes(made.path.read_bytes())
            (look / f"{made.path.stem}.png").write_bytes(result.contact_sheet)
        judge_shown(client, folder, made, result, counts, missed, errors_s)
        read = words(result.overlay_text)
        for scene in made.shown:
            wanted = words(scene.caption)
            counts["caption_words"] += len(wanted)
            counts["read"] += sum(word in read for word in wanted)
        judge_said(client, made, result, interests, counts)
    return {
        "set": video_set.name,
        **counts,
        "found_share": round(counts["found"] / max(counts["judged"], 1), 3),
        "border_error_s_median": round(median(errors_s), 3) if errors_s else None,
        "word_accuracy": round(counts["read"] / max(counts["caption_words"], 1), 3),
        "missed": missed,
    }


def judge_shown(
    client: InklingClient,
    folder: Path,
    made: Made,
    result: VideoResult,
    counts: Counter[str],
    missed: list[dict[str, Any]],
    errors_s: list[float],
) -> None:
    """Counts the scenes of a video whose class is found in time."""
    shown = made.shown
    alone = [{tag.phrase for tag in client.tag(as_shown(folder, s.record)).tags} for s in shown]
    found = {tag.tag.phrase: tag.intervals for tag in result.tags}
    for place, scene in enumerate(shown):
        counts["scenes"] += 1
        name = scene.record.tags[0]
        around = alone[max(place - 1, 0) : place] + alone[place + 1 : place + 2]
        if name not in alone[place] or any(name in tags for tags in around):
            continue
        counts["judged"] += 1
        counts["judged_captioned"] += bool(scene.caption)
        best = min(
            (
                max(abs(i.start_s - scene.start_s), abs(i.end_s - scene.end_s))
                for i in found.get(name, ())
            ),
            default=float("inf"),
        )
        if best <= TOLERANCE_S:
            counts["found"] += 1
            counts["found_captioned"] += bool(scene.caption)
            errors_s.append(best)
        else:
            video = made.path.stem
            captioned = bool(scene.caption)
            missed.append(
                {"video": video, "tag": name, "captioned": captioned, "off_s": min(best, 99.0)}
            )


def judge_said(
    client: InklingClient,
    made: Made,
    result: VideoResult,
    interests: set[str],
    counts: Counter[str],
) -> None:
    """Counts the key words of a video's sentence that are heard and become evidence."""
    heard = set(words(result.transcript))
    # Speech is a weak witness: by itself it is seldom above the default threshold.
    weak = client.tag_video(made.path, top_n=100, min_score=0.05, explain=True, transcribe=True)
    evidence = {
        word
        for tag in weak.tags
        if tag.tag.explanation is not None
        for one in tag.tag.explanation.evidence
        if one.source == "speech"
        for word in words(one.text)
    }
    keys = [word for word in words(made.sentence) if word in interests]
    counts[f"key_words {made.voice.name}"] += len(keys)
    counts[f"heard {made.voice.name}"] += sum(word in heard for word in keys)
    counts[f"evidence {made.voice.name}"] += sum(word in evidence for word in keys)


def interest_words(client: InklingClient) -> list[str]:
    """Interests of the graph that are one word."""
    found = client.graph.interests()
    return [interest.phrase for interest in found if interest.phrase.isalpha()]


def speed(client: InklingClient, server: ServerProcess, folder: Path) -> dict[str, Any]:
    """A minute of 1080p, of each kind."""
    before_mib = memory_mib(server)  # no video has been decoded yet
    measured = {}
    for kind in KINDS:
        path = encode(folder, kind, 60.0)
        client.tag_video(path, max_frame_count=4)  # everything is loaded
        peak, stop = [before_mib], threading.Event()
        watching = threading.Thread(target=watch, args=(server, peak, stop))
        watching.start()
        times_s = []
        for _ in range(3):
            start = time.monotonic()
            client.tag_video(path)
            times_s.append(time.monotonic() - start)
        stop.set()
        watching.join()
        measured[kind] = {
            "seconds": round(median(times_s), 2),
            "all_s": [round(s, 2) for s in times_s],
            "mib_above_idle": round(max(peak) - before_mib),
            "file_mib": round(path.stat().st_size / 2**20, 1),
        }
    return measured


def watch(server: ServerProcess, peak: list[float], stop: threading.Event) -> None:
    """Notes memory until it is told to stop."""
    while not stop.wait(0.2):
        peak.append(memory_mib(server))


def memory_mib(server: ServerProcess) -> float:
    """Proportional set size of the server and all that it has started."""
    total = 0
    for process in [psutil.Process(server.process.pid), *server.family()]:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def table(report: dict[str, Any]) -> list[str]:
    """For people."""
    sets = report["judged"]
    lines = [
        f"# TagVideo: {sum(one['scenes'] for one in sets)} scenes",
        "",
        f"{report['hardware']}, {report['time']}. `python -m benchmarks.bench_tag_video`",
        "",
        "Found: both borders within a second. Heard: of the key words that are said; in brackets,"
        " evidence of a tag that scores above .05.",
        "",
        "| ten videos | classes found | of captioned scenes | median error s | caption words read |"
        + "".join(f" heard of {voice.name} |" for voice in VOICES),
        "|---|---|---|---|---|" + "---|" * len(VOICES),
    ]
    for one in sets:
        row = f"| {one['set']} | {one['found']}/{one['judged']}"
        row += f" | {one.get('found_captioned', 0)}/{one.get('judged_captioned', 0)}"
        row += f" | {one['border_error_s_median']} | {one['read']}/{one['caption_words']} |"
        for voice in VOICES:
            said, heard, evidence = (
                one.get(f"{kind} {voice.name}", 0) for kind in ("key_words", "heard", "evidence")
            )
            row += f" {heard}/{said} ({evidence}) |"
        lines.append(row)
    lines += [
        "",
        "| a minute of 1080p | file MiB | seconds | MiB above idle |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {kind} | {v['file_mib']} | {v['seconds']} | {v['mib_above_idle']} |"
        for kind, v in report["speed"].items()
    ]
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--look", type=Path, help="folder for videos and contact sheets")
    parser.add_argument("--no-speed", action="store_true", help="leaves the minutes of 1080p out")
    parser.add_argument("--out", type=Path, help="folder for the result files")
    options = parser.parse_args(arguments)
    if options.look:
        options.look.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="inkling-video-") as name:
        folder = Path(name)
        flags = ["--database-url=off", "--speech-recognizer=moonshine"]
        with ServerProcess(folder / "data", *flags) as server:
            server.wait_serving()
            with InklingClient(server.address) as client:
                times = speed(client, server, folder) if not options.no_speed else {}
                print(json.dumps(times), flush=True)
                judged = [judge(client, folder, options.look, one) for one in SETS]
    report = {
        "question": "does TagVideo find what is shown, written and said; how fast?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "versions": versions(["av", "rapidocr", "moonshine-voice", "onnxruntime", "openvino"]),
        "judged": judged,
        "speed": times,
    }
    lines = table(report)
    print("\n".join(lines))
    if options.out:
        write_report(options.out, "tag-video", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
