"""Whisper through faster-whisper, on a model directory of the user's.

Not yet run with real weights: there were none where this was written. What is tested is everything
around them. The directory is in CTranslate2's format (model.bin, config.json, tokenizer.json and a
vocabulary), as `ct2-transformers-converter` writes it; nothing is ever downloaded. int8 on CPUs.

Our own gate says where somebody speaks (`voice`); what Whisper itself holds for no speech goes,
too: it writes fluent sentences for silence. It knows no processes and no interests.

Source: Radford et al. 2022, Robust speech recognition via large-scale weak supervision.
Licences: faster-whisper and CTranslate2 MIT; Whisper's weights MIT.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.speech.recognizer import WHISPER, Said, recognizer_name
from inkling_server.speech.voice import VoiceSettings, find_speech

# Whisper's own thresholds: a window is silent where it says so and is not sure of its words.
_SILENT, _LEAST_LOG_PROBABILITY = 0.6, -1.0


class WhisperRecognizer:
    """Recognises what the model's languages are; one thread at a time.

    Args:
        folder: of the model.
        voice: what counts as speech.
        open_model: makes faster-whisper's model; for tests.
    """

    def __init__(
        self,
        folder: Path,
        voice: VoiceSettings | None = None,
        *,
        open_model: Callable[[Path], Any] | None = None,
    ) -> None:
        self.name = recognizer_name(f"{WHISPER}:{folder}")
        self._voice = voice
        self._model = (open_model or _open_model)(folder)

    def transcribe(self, samples_N: NDArray[np.int16], rate_hz: int) -> tuple[Said, ...]:
        """See `SpeechRecognizer.transcribe`."""
        said: list[Said] = []
        for stretch in find_speech(samples_N, rate_hz, self._voice):
            start_s = stretch.start / rate_hz
            end_s = stretch.end / rate_hz
            sound_N = samples_N[stretch.start : stretch.end].astype(np.float32) / 32_768
            # What was said before makes it repeat itself where it is unsure.
            segments, _ = self._model.transcribe(
                sound_N, beam_size=5, condition_on_previous_text=False, vad_filter=False
            )
            for segment in segments:  # lazily: the work is done here
                found = _said(segment, start_s, end_s)
                if found is not None:
                    said.append(found)
        return tuple(said)


def _said(segment: Any, start_s: float, end_s: float) -> Said | None:
    """A segment of a stretch [start_s, end_s); its own times count from there."""
    text = segment.text.strip()
    log_probability = float(segment.avg_logprob)
    silent = float(segment.no_speech_prob)
    if not text or (silent > _SILENT and log_probability < _LEAST_LOG_PROBABILITY):
        return None
    # Its timestamps may run over what it heard: it pads to 30 s.
    first = min(max(start_s + float(segment.start), start_s), end_s)
    last = min(start_s + float(segment.end), end_s)
    if last <= first:
        return None
    return Said(text, first, last, min(math.exp(min(log_probability, 0.0)), 1.0))


def _open_model(folder: Path) -> Any:
    # It asks no hub, whatever the folder lacks.
    os.environ["HF_HUB_OFFLINE"] = "1"
    from faster_whisper import WhisperModel

    return WhisperModel(
        str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )
