"""Which recogniser reads captions and screenshots best, how fast, and what does it see in photos?

    python -m benchmarks.bench_ocr                            a table, JSON as the last line
    python -m benchmarks.bench_ocr --out benchmarks/results   and both as files

Ours (RapidOCR 3 with PP-OCRv6 on OpenVINO) beside the same on ONNX Runtime, rapidocr-onnxruntime
1.4 (PP-OCRv4) and Tesseract 5 (tesserocr with Debian's tesseract-ocr-eng): those that are not
installed are left out. Each runs in a process of its own, on one thread. Pictures are those of
`ocr_pictures`: the least confidence of each recogniser is chosen on one set (the best word accuracy
among those with at most one false word for twenty bare photos, else with the fewest false words;
of equals the greatest), figures are of the other.

- Word accuracy: 1 - (substituted + missing + added words) / words, letter case and punctuation
  aside, over all pictures of a kind: the complement of the word error rate. Adding words costs.
- False words: of two letters and more, for each photo without any; and the share of such photos
  that are read as having some. Two of the reported photos turned out to have words in them after
  all; ours read these, and none in any other.
- ms: median CPU time for a picture, decoding included, all of it on one thread. MiB: what the
  process grew by.

Needs the sample data for most bare photos: INKLING_SAMPLE_DATA, else ../shared/data beside the
repository; without it there are four.
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ocr_engines import ENGINES, open_engine, resident_mib
from benchmarks.ocr_pictures import SETS, SIZES, Rendered, bare, captions, screenshots
from benchmarks.report import hardware, versions, write_report
from inkling_server.text_reading.lines import Line, read_text
from inkling_training.data import sample_data_dir

WANTED = 0.9
WANTED_FROM_PX = 24
MOST_FALSE = 0.05
_GRID = (*(round(0.05 * step, 2) for step in range(20)), 0.97, 0.99)
_WORD = re.compile(r"[^\W_]+")

Read = list[tuple[Rendered, list[Line]]]


def words_of(text: str) -> list[str]:
    """Lower-case words, without punctuation."""
    return _WORD.findall(text.replace("'", "").casefold())


def word_errors(read: Sequence[str], gold: Sequence[str]) -> int:
    """Levenshtein distance in words."""
    row = list(range(len(read) + 1))
    for i, word in enumerate(gold, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(read, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1]


def word_accuracy(read: Iterable[tuple[Rendered, list[Line]]], min_confidence: float) -> float:
    """1 - word error rate, of all pictures together; negative where much was added."""
    errors = count = 0
    for picture, lines in read:
        gold = words_of(picture.text)
        errors += word_errors(words_of(read_text(lines, min_confidence=min_confidence).text), gold)
        count += len(gold)
    return 1 - errors / max(count, 1)


def false_words(read: Read, min_confidence: float) -> tuple[float, float]:
    """Words for each picture that has none, and the share of those with any."""
    counts = [
        sum(
            len(word) > 1 for word in words_of(read_text(lines, min_confidence=min_confidence).text)
        )
        for _, lines in read
    ]
    return statistics.fmean(counts), statistics.fmean(count > 0 for count in counts)


def choose(written: Read, unwritten: Read) -> float:
    """The least confidence, see the module."""
    rated = [
        (
            max(false_words(unwritten, least)[0] - MOST_FALSE, 0.0),
            -word_accuracy(written, least),
            -least,
        )
        for least in _GRID
    ]
    return -min(rated)[2]


def measure(engine: str) -> dict[str, Any]:
    """One recogniser's figures; in a process of its own."""
    read = open_engine(engine)
    pictures = {
        which: {
            "captions": list(captions(which)),
            "screenshots": list(screenshots(which)),
            "bare": list(bare(which, _sample_data())),
        }
        for which in SETS
    }
    before = resident_mib()
    start = time.perf_counter()
    read(pictures["choose"]["captions"][0].picture)
    first_s = time.perf_counter() - start
    times: defaultdict[str, list[float]] = defaultdict(list)
    found: dict[str, dict[str, Read]] = {
        which: {
            kind: [(one, _timed(read, one.picture, times[kind])) for one in part]
            for kind, part in parts.items()
        }
        for which, parts in pictures.items()
    }
    grown = resident_mib() - before
    tuned, shown = found["choose"], found["report"]
    least = choose(tuned["captions"] + tuned["screenshots"], tuned["bare"])
    large = [one for one in shown["captions"] if one[0].size >= WANTED_FROM_PX]
    false_count, false_share = false_words(shown["bare"], least)
    styles = sorted({picture.style for picture, _ in shown["captions"]})
    return {
        "min_confidence": least,
        "captions_by_px": {
            str(size): word_accuracy([x for x in shown["captions"] if x[0].size == size], least)
            for size in SIZES
        },
        "captions_from_24_px": word_accuracy(large, least),
        "captions_from_24_px_by_style": {
            style: word_accuracy([x for x in large if x[0].style == style], least)
            for style in styles
        },
        "screenshots_by_px": {
            str(size): word_accuracy([x for x in shown["screenshots"] if x[0].size == size], least)
            for size in SIZES
        },
        "false_words_per_bare_photo": false_count,
        "share_of_bare_photos_with_words": false_share,
        "bare_photo_count": len(shown["bare"]),
        "chosen_on": {
            "captions_from_24_px": word_accuracy(
                [x for x in tuned["captions"] if x[0].size >= WANTED_FROM_PX], least
            ),
            "false_words_per_bare_photo": false_words(tuned["bare"], least)[0],
        },
        "ms": {kind: statistics.median(values) for kind, values in times.items()},
        "ms_p95": {kind: statistics.quantiles(values, n=20)[-1] for kind, values in times.items()},
        "first_s": first_s,
        "grown_mib": grown,
    }


def _timed(read: Callable[[bytes], list[Line]], picture: bytes, times: list[float]) -> list[Line]:
    start = time.process_time()
    lines = read(picture)
    times.append((time.process_time() - start) * 1e3)
    return lines


def _sample_data() -> Path | None:
    try:
        return sample_data_dir()
    except OSError:
        return None


def _table(results: dict[str, dict[str, Any]]) -> list[str]:
    heads = [f"captions {size} px" for size in SIZES]
    heads += ["captions >= 24 px", "screenshots 16 / 24+ px", "false words a photo"]
    heads += ["photos with any", "least confidence", "ms caption / bare", "MiB"]
    lines = [f"| recogniser | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, one in results.items():
        shots = one["screenshots_by_px"]
        large = statistics.fmean(shots[str(size)] for size in SIZES if size >= WANTED_FROM_PX)
        cells = [f"{one['captions_by_px'][str(size)]:.3f}" for size in SIZES]
        cells += [
            f"{one['captions_from_24_px']:.3f}",
            f"{shots['16']:.3f} / {large:.3f}",
            f"{one['false_words_per_bare_photo']:.3f}",
            f"{one['share_of_bare_photos_with_words']:.3f}",
            f"{one['min_confidence']:.2f}",
            f"{one['ms']['captions']:.0f} / {one['ms']['bare']:.0f}",
            f"{one['grown_mib']:.0f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the JSON and a table")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.engine:
        print(json.dumps(measure(options.engine)))
        return
    results: dict[str, dict[str, Any]] = {}
    for name, packages in ENGINES.items():
        if missing := [one for one in packages if importlib.util.find_spec(one) is None]:
            print(f"{name}: {', '.join(missing)} is not installed: left out")
            continue
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.bench_ocr", "--engine", name],
            env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        results[name] = json.loads(done.stdout.splitlines()[-1])
    ours = next(iter(results.values()))
    held = ours["captions_from_24_px"] >= WANTED
    installed = versions(
        ("rapidocr", "rapidocr-onnxruntime", "tesserocr", "openvino", "onnxruntime")
    )
    lines = [
        f"# Text in pictures, {time.strftime('%Y-%m-%d', time.gmtime())}, {hardware()}",
        "",
        ", ".join(f"{name} {number}" for name, number in installed.items())
        + f"; {ours['bare_photo_count']} bare photos. What is asked, and on what:"
        " `benchmarks/bench_ocr.py`.",
        "",
        *_table(results),
        "",
        f"- word accuracy >= {WANTED:.0%} at {WANTED_FROM_PX} px and larger: "
        + ("yes" if held else "NO"),
    ]
    print("\n".join(lines))
    report = {"benchmark": "ocr", "hardware": hardware(), "versions": installed, "found": results}
    if options.out is not None:
        write_report(options.out, "ocr", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
