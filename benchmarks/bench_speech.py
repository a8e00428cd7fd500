"""How well is speech recognised, what does it cost, and how much is made up where nobody speaks?

    python -m benchmarks.bench_speech                            tables, JSON as the last line
    python -m benchmarks.bench_speech --out benchmarks/results   and both as files
    python -m benchmarks.bench_speech --recognizer faster-whisper:DIR

Needs flite and espeak-ng (Debian's packages; run as tools, never shipped). They say the sentences
of `speech_sentences.REPORTED`; settings were chosen on its TUNING, with some of the same voices
and kinds of noise.
flite's voices come from people's recordings (slt and rms American, awb Scottish; kal of diphones),
espeak-ng's are calculated, which is harder: neither is a person before a telephone.

- word error rate: substitutions, deletions and insertions over the words said;
- key words: interests of the shipped graph, by whole names, in what was said and in what was
  recognised: share found, and false ones per 100 that were said;
- where nobody speaks: words per minute that are made up;
- time per second of sound on one core, the gate's alone and all; memory of the process.

The default must be brought whole by a package under a permissive licence. Looked at in November
2026: PocketSphinx 5.1.1, the default before, hardly understood espeak-ng (word error rate .82 to
.93), nor much through pink noise of 20 dB (.61) or music of 10 dB (.99). moonshine-voice brings
Moonshine Tiny (MIT) up to 0.1.0, and no longer in 0.1.3 and 0.1.5; useful-moonshine-onnx downloads
it; the npm package @moonshine-ai/moonshine-js brings it, and would need npm. vosk, sherpa-onnx and
faster-whisper are given a model or fetch one.
"""

import argparse
import io
import json
import re
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import hardware, versions, write_report
from benchmarks.speech_sentences import REPORTED
from inkling_server.interests.mentions.table import PhraseTable, words_of
from inkling_server.interests.store import GraphStore
from inkling_server.speech import RATE_HZ, SpeechRecognizer, open_recognizer
from inkling_server.speech.voice import find_speech
from inkling_training.data import DEFAULT_GRAPH

Samples = NDArray[np.int16]
_PADDING_S = 0.4
_NOISE_S = 20.0


@dataclass(frozen=True, slots=True)
class Voice:
    """A synthesiser's voice.

    Attributes:
        tool: flite or espeak-ng.
        voice: its name there.
        speed: 1 is the voice's own.
    """

    tool: str
    voice: str
    speed: float = 1.0

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.tool} {self.voice}" + (f" x{self.speed:g}" if self.speed != 1 else "")

    def say(self, text: str) -> Samples:
        """Says a sentence, with a little silence around it."""
        if self.tool == "flite":
            stretch = f"duration_stretch={1 / self.speed:.3f}"
            command = ["flite", "-voice", self.voice, "--setf", stretch, "-t", text]
            command += ["-o", "/dev/stdout"]
        else:
            command = ["espeak-ng", "-v", self.voice, "-s", str(round(160 * self.speed))]
            command += ["--stdout", text]
        made = subprocess.run(command, capture_output=True, check=True).stdout
        with wave.open(io.BytesIO(made)) as file:
            sound_N = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            sound_N = resampled(sound_N, file.getframerate())
        quiet_N = np.zeros(round(_PADDING_S * RATE_HZ), np.int16)
        return np.concatenate([quiet_N, sound_N, quiet_N])


# Voice, noise and signal-to-noise ratio in dB.
_RMS = Voice("flite", "rms")
CONDITIONS: tuple[tuple[Voice, str, float | None], ...] = (
    (_RMS, "", None),
    (Voice("flite", "slt"), "", None),
    (Voice("flite", "awb"), "", None),
    (Voice("flite", "rms", 1.25), "", None),
    (Voice("espeak-ng", "en-us"), "", None),
    (Voice("espeak-ng", "en-us+f3"), "", None),
    (Voice("espeak-ng", "en-gb"), "", None),
    (Voice("espeak-ng", "en-us"), "pink", 10.0),
    *((_RMS, "pink", snr_db) for snr_db in (20.0, 10.0, 0.0)),
    (_RMS, "music", 10.0),
)


def resampled(sound_N: Samples, rate_hz: int) -> Samples:
    """At `RATE_HZ`, through the Fourier transform."""
    if rate_hz == RATE_HZ:
        return sound_N
    count = len(sound_N) * RATE_HZ // rate_hz
    spectrum = np.fft.rfft(sound_N.astype(np.float64))
    kept = np.zeros(count // 2 + 1, complex)
    shared = min(len(kept), len(spectrum))
    kept[:shared] = spectrum[:shared]
    changed = np.fft.irfft(kept, count) * count / len(sound_N)
    result_N: Samples = np.clip(changed, -32_768, 32_767).astype(np.int16)
    return result_N


def noise(kind: str, duration_s: float, random: np.random.Generator) -> NDArray[np.float64]:
    """White, pink, music-like or pulsing noise, of power 1; or silence."""
    count = round(duration_s * RATE_HZ)
    times_N = np.arange(count) / RATE_HZ
    sound_N = random.standard_normal(count)
    if kind == "silence":
        return np.zeros(count)
    if kind == "hum":
        sound_N = np.sin(2 * np.pi * 100 * times_N) + np.sin(2 * np.pi * 200 * times_N)
    if kind == "pink":
        spectrum = np.fft.rfft(sound_N)
        sound_N = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    if kind == "gusts":
        sound_N *= 0.1 + np.clip(np.sin(2 * np.pi * 0.7 * times_N), 0, 1)
    if kind == "music":
        sound_N = _music(count, random)
    if kind == "beats":
        sound_N *= np.exp(-(times_N % 0.5) * 20)
    even_N: NDArray[np.float64] = sound_N / np.sqrt(np.mean(sound_N**2))
    return even_N


def _music(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Chords of plucked tones with overtones."""
    sound_N = np.zeros(count)
    start = 0
    while start < count:
        length = min(int(random.uniform(0.25, 0.8) * RATE_HZ), count - start)
        times = np.arange(length) / RATE_HZ
        swell = np.exp(-times * random.uniform(1, 5)) * np.minimum(times / 0.02, 1)
        for tone_hz in random.choice([220, 262, 294, 330, 392, 440, 523], 3, replace=False):
            for part in range(1, 6):
                tone = np.sin(2 * np.pi * tone_hz * part * times) / part
                sound_N[start : start + length] += swell * tone
        start += length
    return sound_N


def with_noise(
    spoken_N: Samples, kind: str, snr_db: float | None, random: np.random.Generator
) -> Samples:
    """Speech with noise, by the power of what is not silent in it."""
    if snr_db is None:
        return spoken_N
    loud_N = spoken_N[np.abs(spoken_N) > 50].astype(np.float64)
    level = np.sqrt(np.mean(loud_N**2) / 10 ** (snr_db / 10))
    noise_N = noise(kind, len(spoken_N) / RATE_HZ, random)[: len(spoken_N)] * level
    noisy_N: Samples = np.clip(spoken_N + noise_N, -32_768, 32_767).astype(np.int16)
    return noisy_N


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Least substitutions, deletions and insertions (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        above, row = row, [number]
        for place, other in enumerate(heard, 1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (word != other)))
    return row[-1]


def spoken_words(text: str) -> list[str]:
    """Words without stops and gaps; "15" is not "fifteen"."""
    return re.findall(r"[a-z0-9']+", text.lower())


def condition(
    recognizer: SpeechRecognizer,
    rows_of: Callable[[str], set[int]],
    chosen: tuple[Voice, str, float | None],
    sentences: Sequence[str],
) -> dict[str, object]:
    """All sentences in one voice and noise."""
    voice, kind, snr_db = chosen
    random = np.random.default_rng(2026)
    errors = words = found = named = false = 0
    heard_s = worked_s = 0.0
    confidences = []
    for sentence in sentences:
        sound_N = with_noise(voice.say(sentence), kind, snr_db, random)
        start = time.process_time()
        said = recognizer.transcribe(sound_N, RATE_HZ)
        worked_s += time.process_time() - start
        heard_s += len(sound_N) / RATE_HZ
        text = " ".join(one.text for one in said)
        confidences += [one.confidence for one in said]
        errors += word_errors(sentence.split(), spoken_words(text))
        words += len(sentence.split())
        wanted, got = rows_of(sentence), rows_of(text)
        named += len(wanted)
        found += len(wanted & got)
        false += len(got - wanted)
    return {
        "voice": voice.name,
        "noise": f"{kind} {snr_db:g} dB" if snr_db is not None else "none",
        "word_error_rate": round(errors / words, 3),
        "keyword_recall": round(found / named, 3),
        "false_keywords_per_100": round(100 * false / named, 1),
        "confidence": round(float(np.mean(confidences)), 2) if confidences else None,
        "real_time_factor": round(worked_s / heard_s, 3),
    }


def nobody(recognizer: SpeechRecognizer, kind: str) -> dict[str, object]:
    """Some seconds in which nobody speaks."""
    sound = noise(kind, _NOISE_S, np.random.default_rng(11)) * 3_000
    sound_N = np.clip(sound, -32_768, 32_767).astype(np.int16)
    start = time.process_time()
    stretches = find_speech(sound_N, RATE_HZ)
    gated = time.process_time()
    said = recognizer.transcribe(sound_N, RATE_HZ)
    ended = time.process_time()
    passed = sum(one.end - one.start for one in stretches) / len(sound_N)
    return {
        "sound": kind,
        "passed_gate": round(passed, 3),
        "words_per_minute": sum(len(spoken_words(one.text)) for one in said) * 60 / _NOISE_S,
        "gate_real_time_factor": round((gated - start) / _NOISE_S, 4),
        "real_time_factor": round((ended - gated) / _NOISE_S, 3),
    }


def memory_mib(spec: str) -> float:
    """Peak resident memory of a process that recognises twenty seconds of chords."""
    program = """
import resource, sys
import numpy as np
from benchmarks.bench_speech import noise
from inkling_server.speech import RATE_HZ, open_recognizer
sound_N = noise("music", 20.0, np.random.default_rng(1)) * 3_000
open_recognizer(sys.argv[1]).transcribe(sound_N.astype(np.int16), RATE_HZ)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    command = [sys.executable, "-c", program, spec]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return float(done.stdout.split()[-1])


def table(rows: Sequence[dict[str, object]]) -> list[str]:
    """Rows of the same keys as Markdown."""
    names = list(rows[0])
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |"]
    lines.append("|" + "---|" * len(names))
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    return lines


def _shown(row: dict[str, object]) -> dict[str, object]:
    print(row, file=sys.stderr, flush=True)
    return row


def main(arguments: list[str] | None = None) -> int:
    """Runs all of it: some minutes of one core with all sentences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the report")
    parser.add_argument("--recognizer", default="moonshine", help="moonshine (default), ...")
    parser.add_argument("--sentences", type=int, default=len(REPORTED), help="only so many")
    chosen = parser.parse_args(arguments)
    sentences = REPORTED[: chosen.sentences]
    for tool in ("flite", "espeak-ng"):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed (Debian's package {tool})", file=sys.stderr)
            return 2
    graph, _ = GraphStore(Path("/nonexistent"), DEFAULT_GRAPH).load_current()
    names = PhraseTable(graph.interests)

    def rows_of(text: str) -> set[int]:
        parts = text.replace(".", "…").split("…")
        return {row for part in parts for _, _, row in names.match(words_of(part))}

    recognizer = open_recognizer(chosen.recognizer)
    spoken = [_shown(condition(recognizer, rows_of, each, sentences)) for each in CONDITIONS]
    kinds = ("silence", "white", "pink", "hum", "gusts", "music", "beats")
    quiet = [_shown(nobody(recognizer, kind)) for kind in kinds]
    mib = memory_mib(chosen.recognizer)
    named = sum(len(rows_of(sentence)) for sentence in sentences)
    lines = [
        f"# Speech: {recognizer.name}",
        "",
        f"{hardware()}, one thread; `python -m benchmarks.bench_speech --sentences"
        f" {len(sentences)}`. {len(sentences)} sentences,"
        f" {named} key words. Processor time, other work ran beside it. {mib:.0f} MiB.",
        "",
        *table(spoken),
        "",
        f"{_NOISE_S:g} s of each, where nobody speaks:",
        "",
        *table(quiet),
    ]
    report = {
        "hardware": hardware(),
        "versions": versions(("moonshine-voice", "onnxruntime", "faster-whisper", "numpy")),
        "recognizer": recognizer.name,
        "voices": [asdict(voice) for voice, _, _ in CONDITIONS],
        "spoken": spoken,
        "nobody": quiet,
        "memory_mib": round(mib),
    }
    print("\n".join(lines))
    print(json.dumps(report))
    if chosen.out:
        write_report(chosen.out, "speech", lines, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
