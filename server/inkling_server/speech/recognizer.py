"""What a speech recogniser is, and which there are.

    off                   none
    moonshine             English; the package moonshine-voice brings its model
    faster-whisper:DIR    Whisper in CTranslate2's format; nothing is ever downloaded

Opening one imports its package, which only the process does (`speech.process`). This module knows
no processes and no videos.
"""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
OFF = "off"
MOONSHINE = "moonshine"
WHISPER = "faster-whisper"
MOONSHINE_FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
_PACKAGES = {MOONSHINE: "moonshine-voice"}
ALLOWED = f"{OFF}, {MOONSHINE}, {WHISPER}:DIR"


@dataclass(frozen=True, slots=True)
class Said:
    """A stretch of speech, about a sentence.

    Attributes:
        text: its words; "…" stands for words that were not understood.
        start_s: from the start of the sound.
        end_s: > start_s.
        confidence: of the recogniser in its words, in [0, 1]; not calibrated.
    """

    # Somebody's words: not for logs and tracebacks.
    text: str = field(repr=False)
    start_s: float
    end_s: float
    confidence: float


class SpeechRecognizer(Protocol):
    """Turns speech into words, one sound at a time; blocking.

    Attributes:
        name: and version, for people: "moonshine-voice 0.0.69".
    """

    @property
    def name(self) -> str: ...

    def transcribe(self, samples_N: NDArray[np.int16], rate_hz: int) -> tuple[Said, ...]:
        """What is said, in order; () where nobody speaks.

        Args:
            samples_N: one channel.
            rate_hz: `RATE_HZ`.

        Raises:
            ValueError: another rate, or no int16 of one channel.
        """
        ...


def check_samples(samples_N: NDArray[np.int16], rate_hz: int) -> None:
    """Raises ValueError where a recogniser cannot take a sound."""
    if rate_hz != RATE_HZ:
        raise ValueError(f"rate_hz: {rate_hz}; allowed: {RATE_HZ}")
    if samples_N.ndim != 1 or samples_N.dtype != np.int16:
        raise ValueError("samples_N: allowed: int16 of one channel")


def speech_problem(spec: str) -> str:
    """Why a recogniser cannot be had here, "" if it can; imports nothing.

    Args:
        spec: see the module.
    """
    kind, _, folder = spec.partition(":")
    if spec == OFF:
        return ""
    if kind not in (MOONSHINE, WHISPER) or (kind == MOONSHINE and spec != kind):
        return f"no such recogniser; allowed: {ALLOWED}"
    needed = {"webrtcvad": "webrtcvad-wheels"}  # tells both where somebody speaks
    if kind == MOONSHINE:
        needed |= {"onnxruntime": "onnxruntime", "moonshine_voice": "moonshine-voice"}
    for module, package in needed.items():
        if find_spec(module) is None:
            return f"the package {package} is not installed; it comes with the extra speech"
    if kind == MOONSHINE and moonshine_folder() is None:
        return (
            "this release of moonshine-voice brings no model; the extra speech names one that does"
        )
    if kind == WHISPER:
        if find_spec("faster_whisper") is None:
            return "the package faster-whisper is not installed"
        if not (folder and (Path(folder) / "model.bin").is_file()):
            return f"{WHISPER}:DIR needs a folder with a model in CTranslate2's format (model.bin)"
    return ""


def moonshine_folder() -> Path | None:
    """Where the package moonshine-voice has its model, None where it has none."""
    found = find_spec("moonshine_voice")
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        folder = Path(place) / "assets" / "tiny-en"
        if all((folder / name).is_file() for name in MOONSHINE_FILES):
            return folder
    return None


def recognizer_name(spec: str) -> str:
    """What people read of a recogniser, "" for none: package, version and its model's folder."""
    kind, _, folder = spec.partition(":")
    if spec == OFF:
        return ""
    try:
        package = _PACKAGES.get(kind, kind)
        named = f"{package} {version(package)}"
    except PackageNotFoundError:
        return kind
    return f"{named} ({Path(folder).name})" if folder else named
