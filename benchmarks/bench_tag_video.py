"""Does TagVideo find what is shown, when it is shown, what is written and what is said; how fast?

    python -m benchmarks.bench_tag_video                            tables, JSON as the last line
    python -m benchmarks.bench_tag_video --out benchmarks/results   and both as files
    python -m benchmarks.bench_tag_video --look build/video         keeps videos and contact sheets

A real server (real Triton) on loopback. Ten videos (640 x 360, H.264 with AAC) are made of photos
of the sample data's validation part (INKLING_SAMPLE_DATA, else ../shared/data beside the
repository): eight scenes of 2 to 4 s each, of different classes, with cuts and half-second fades;
every other scene has a caption drawn over it (24 to 40 px, outlined), and a synthetic voice (flite,
a tool that is only run) says a sentence in each video.

*Shown*: a scene counts where Tag, asked for its photo alone as the video shows it, gives the
photo's class; found is an interval of that tag that begins and ends within a second of the scene. A
class that a neighbouring scene's photo is tagged with as well has no border there, and is left out.
*Written*: words of the captions in what was read. *Said*: words that are interests of the graph, in
what was recognised, and in the evidence of kind "speech". Speed: a minute of 1080p, drifting
photos, beside nothing else; memory is the proportional set of the server and all that it has
started, at its peak, over what it was before the first video.
"""

import argparse
import io
import json
import random
import re
import subprocess
import tempfile
import threading
import time
import wave
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import matplotlib
import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.bench_video import KINDS, encode
from benchmarks.report import hardware, versions, write_report
from inkling_client import Context, InklingClient
from inkling_training.data import Record, load_records, sample_data_dir
from tests.server_process import ServerProcess
from tests.video_factory import Scene, make_video

SIZE, FPS, VIDEOS, SCENES = (640, 360), 25, 10, 8
PARTS = frozenset({"caltech-101", "clothing-photos", "food-dishes", "grocery-store", "scenes-8"})
TOLERANCE_S = 1.0
CAPTIONS = (
    "Look what I found today",
    "My favourite so far",
    "Do you like this one",
    "Never seen before",
    "A present from my sister",
    "Second hand treasure",
)
SENTENCES = (
    "My dog loves the beach in the morning.",
    "We made pizza and coffee for the whole family.",
    "The garden is full of flowers this summer.",
    "She plays the guitar in a small band.",
    "Our cat sleeps on the sofa all day.",
    "They bought a new camera for the trip.",
    "This recipe needs rice, chicken and garlic.",
    "The train to the mountains leaves at seven.",
    "He painted the kitchen blue and white.",
    "The children built a castle near the river.",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One scene.

    Attributes:
        record: the photo.
        start_s: when it begins; a fade's middle.
        end_s: when it ends.
        caption: drawn over it, or "".
    """

    record: Record
    start_s: float
    end_s: float
    caption: str


def make(folder: Path, number: int, records: list[Record]) -> tuple[Path, list[Shown], str]:
    """One video, what it shows, and what is said in it."""
    rng = random.Random(number)
    scenes: list[Scene] = []
    shown: list[Shown] = []
    time_s = 0.0
    for place, record in enumerate(records):
        seconds = rng.choice([2.0, 2.5, 3.0, 4.0])
        fade_s = 0.5 if place % 3 == 2 else 0.0
        caption = rng.choice(CAPTIONS) if place % 2 else ""
        overlay = drawn(caption, rng.choice([24, 28, 32, 40])) if caption else None
        scenes.append(Scene(pixels_of(record), seconds, fade_s, overlay=overlay))
        if shown and fade_s:
            shown[-1] = Shown(
                shown[-1].record, shown[-1].start_s, time_s + fade_s / 2, shown[-1].caption
            )
        shown.append(Shown(record, time_s + fade_s / 2, time_s + seconds, caption))
        time_s += seconds
    sentence = SENTENCES[number % len(SENTENCES)]
    voice_N = np.zeros(round(time_s * 16_000), np.int16)
    said_N = spoken(sentence)[: len(voice_N) - 16_000]
    voice_N[16_000 : 16_000 + len(said_N)] = said_N
    path = make_video(
        folder / f"video{number}.mp4",
        scenes,
        size=SIZE,
        fps=FPS,
        sound=voice_N,
        options={"preset": "veryfast", "crf": "21"},
    )
    return path, shown, sentence


def drawn(caption: str, size: int) -> NDArray[np.uint8]:
    """A caption as its author would lay it over the picture."""
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    font = ImageFont.truetype(str(folder / "DejaVuSans-Bold.ttf"), size)
    ImageDraw.Draw(image).text(
        (SIZE[0] / 2, SIZE[1] * 0.85),
        caption,
        font=font,
        anchor="mm",
        fill=(255, 255, 255, 255),
        stroke_width=max(2, size // 12),
        stroke_fill=(0, 0, 0, 255),
    )
    return np.asarray(image, np.uint8)


def spoken(sentence: str) -> NDArray[np.int16]:
    """Said by a synthetic voice at 16 kHz."""
    command = ["flite", "-voice", "rms", "-t", sentence, "-o", "/dev/stdout"]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(made)) as file:
        if file.getframerate() != 16_000:
            raise RuntimeError("the voice is not one of 16 kHz")
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def pixels_of(record: Record) -> NDArray[np.uint8]:
    """A photo's pixels [H, W, 3]."""
    decoded = cv2.imdecode(np.frombuffer(record.picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    if decoded is None:
        raise RuntimeError("a photo of the sample data cannot be decoded")
    return np.asarray(decoded, np.uint8)


def as_shown(folder: Path, record: Record) -> bytes:
    """The photo alone, cut and scaled as the video shows it."""
    path = make_video(
        folder / "alone.mp4",
        [Scene(pixels_of(record), 0.2)],
        size=SIZE,
        fps=10,
        options={"preset": "veryfast", "crf": "21"},
    )
    reading = cv2.VideoCapture(str(path))
    _, frame_HW3 = reading.read()
    reading.release()
    return bytes(cv2.imencode(".jpg", frame_HW3, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def words(text: str) -> list[str]:
    """Lower case, letters only."""
    return re.findall(r"[a-z]+", text.lower())


def judge(client: InklingClient, folder: Path, look: Path | None) -> dict[str, Any]:
    """Makes and tags the ten videos."""
    records = [r for r in load_records(sample_data_dir(), PARTS) if r.split == "val" and r.tags]
    rng = random.Random(11)
    interests = set(interest_words(client))
    counts = dict.fromkeys(
        ("scenes", "judged", "found", "caption_words", "read", "key_words", "heard", "evidence"), 0
    )
    missed, errors_s = [], []
    for number in range(VIDEOS):
        chosen = different(records, rng)
        path, shown, sentence = make(folder, number, chosen)
        alone = [{tag.phrase for tag in client.tag(as_shown(folder, s.record)).tags} for s in shown]
        result = client.tag_video(
            path,
            top_n=100,
            explain=True,
            context=Context(read_text=True),
            transcribe=True,
            contact_sheet="png",
        )
        if look is not None:
            (look / path.name).write_bytes(path.read_bytes())
            (look / f"{path.stem}.png").write_bytes(result.contact_sheet)
        found = {tag.tag.phrase: tag.intervals for tag in result.tags}
        for place, scene in enumerate(shown):
            counts["scenes"] += 1
            name = scene.record.tags[0]
            around = alone[max(place - 1, 0) : place] + alone[place + 1 : place + 2]
            if name not in alone[place] or any(name in tags for tags in around):
                continue
            counts["judged"] += 1
            best = min(
                (
                    max(abs(i.start_s - scene.start_s), abs(i.end_s - scene.end_s))
                    for i in found.get(name, ())
                ),
                default=float("inf"),
            )
            if best <= TOLERANCE_S:
                counts["found"] += 1
                errors_s.append(best)
            else:
                missed.append({"video": number, "tag": name, "off_s": min(best, 99.0)})
        read = words(result.overlay_text)
        for scene in shown:
            wanted = words(scene.caption)
            counts["caption_words"] += len(wanted)
            counts["read"] += sum(word in read for word in wanted)
        heard = set(words(result.transcript))
        # Speech is a weak witness: by itself it is seldom above the default threshold.
        weak = client.tag_video(path, top_n=100, min_score=0.05, explain=True, transcribe=True)
        evidence = {
            word
            for tag in weak.tags
            if tag.tag.explanation is not None
            for one in tag.tag.explanation.evidence
            if one.source == "speech"
            for word in words(one.text)
        }
        keys = [word for word in words(sentence) if word in interests]
        counts["key_words"] += len(keys)
        counts["heard"] += sum(word in heard for word in keys)
        counts["evidence"] += sum(word in evidence for word in keys)
    return {
        **counts,
        "found_share": round(counts["found"] / max(counts["judged"], 1), 3),
        "border_error_s_median": round(median(errors_s), 3) if errors_s else None,
        "word_accuracy": round(counts["read"] / max(counts["caption_words"], 1), 3),
        "key_words_heard": round(counts["heard"] / max(counts["key_words"], 1), 3),
        "missed": missed,
    }


def different(records: list[Record], rng: random.Random) -> list[Record]:
    """Photos of different classes."""
    chosen: list[Record] = []
    while len(chosen) < SCENES:
        record = rng.choice(records)
        if all(record.tags[0] != other.tags[0] for other in chosen):
            chosen.append(record)
    return chosen


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
    judged = report["judged"]
    lines = [
        f"# TagVideo: {VIDEOS} videos, {judged['scenes']} scenes",
        "",
        f"{report['hardware']}, {report['time']}. `python -m benchmarks.bench_tag_video`",
        "",
        f"- shown: {judged['found']} of {judged['judged']} classes found with both borders within"
        f" {TOLERANCE_S:g} s (median error {judged['border_error_s_median']} s)",
        f"- written: {judged['read']} of {judged['caption_words']} words of captions, 24 to 40 px",
        f"- said: {judged['heard']} of {judged['key_words']} key words recognised,"
        f" {judged['evidence']} of them evidence of a tag that scores above .05",
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
    parser.add_argument("--out", type=Path, help="folder for the result files")
    options = parser.parse_args(arguments)
    if options.look:
        options.look.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="inkling-video-") as name:
        folder = Path(name)
        flags = ["--database-url=off", "--speech-recognizer=pocketsphinx"]
        with ServerProcess(folder / "data", *flags) as server:
            server.wait_serving()
            with InklingClient(server.address) as client:
                times = speed(client, server, folder)
                print(json.dumps(times), flush=True)
                judged = judge(client, folder, options.look)
    report = {
        "question": "does TagVideo find what is shown, written and said; how fast?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "versions": versions(["av", "rapidocr", "pocketsphinx", "openvino"]),
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
