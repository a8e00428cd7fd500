"""PocketSphinx: English, small, with model, language model and dictionary in its package.

    stretch of speech ─► batch decoding ─► words with posteriors ─► unsure words out ─► Said

A recogniser of the last age: read American English near a microphone comes out right, noise, music
and accents do not (benchmarks/bench_speech.py). Hence the care about wrong words: a word whose
posterior (of the word lattice, Wessel et al. 2001) is low becomes "…", which parts phrases, and a
stretch of which little is sure is dropped whole. It knows no processes and no interests.

Licences: code BSD-2-Clause, model and dictionary BSD (Carnegie Mellon, Alpha Cephei).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.speech.recognizer import POCKETSPHINX, Said, recognizer_name
from inkling_server.speech.voice import VoiceSettings, find_speech

GAP = "…"
# Chosen on other sentences than bench_speech reports, of the same voices and kinds of noise.
MIN_WORD_CONFIDENCE = 0.1
MIN_CONFIDENCE = 0.45
# Hidden Markov models alive in a frame (default 30,000): what bounds the time that noise takes.
_MOST_ACTIVE = 6_000


class PocketsphinxRecognizer:
    """Recognises English; one thread at a time. Opening takes half a second.

    Args:
        voice: what counts as speech.
        min_word_confidence: words below it become "…".
        min_confidence: stretches whose words have less on average are dropped.
    """

    def __init__(
        self,
        voice: VoiceSettings | None = None,
        *,
        min_word_confidence: float = MIN_WORD_CONFIDENCE,
        min_confidence: float = MIN_CONFIDENCE,
    ) -> None:
        from pocketsphinx import Decoder  # of an extra

        self.name = recognizer_name(POCKETSPHINX)
        self._voice = voice
        self._min_word_confidence = min_word_confidence
        self._min_confidence = min_confidence
        self._decoder = Decoder(loglevel="FATAL", maxhmmpf=_MOST_ACTIVE)

    def transcribe(self, samples_N: NDArray[np.int16], rate_hz: int) -> tuple[Said, ...]:
        """See `SpeechRecognizer.transcribe`."""
        said = []
        for stretch in find_speech(samples_N, rate_hz, self._voice):
            text, confidence = self._recognise(samples_N[stretch.start : stretch.end])
            if text and confidence >= self._min_confidence:
                said.append(Said(text, stretch.start / rate_hz, stretch.end / rate_hz, confidence))
        return tuple(said)

    def _recognise(self, samples_N: NDArray[np.int16]) -> tuple[str, float]:
        self._decoder.start_utt()
        self._decoder.process_raw(samples_N.tobytes(), full_utt=True)
        self._decoder.end_utt()
        # Asking for the hypothesis makes the lattice from which the posteriors come.
        if self._decoder.hyp() is None:
            return "", 0.0
        return sure_words(self._decoder.seg(), self._min_word_confidence)


def sure_words(segments: Any, least: float) -> tuple[str, float]:
    """Text of a decoded stretch, and the mean posterior of all its words, sure or not.

    Args:
        segments: have `word` and `prob`; fillers such as <sil> and [NOISE] are no words.
        least: words of less become "…"; runs of them become one.
    """
    words: list[str] = []
    confidences = []
    for segment in segments:
        word = segment.word.split("(")[0]  # "to(3)": its third pronunciation
        if not word or word[0] in "<[+":
            continue
        confidence = min(max(float(segment.prob), 0.0), 1.0)
        confidences.append(confidence)
        if confidence >= least:
            words.append(word)
        elif not words or words[-1] != GAP:
            words.append(GAP)
    if all(word == GAP for word in words):
        return "", 0.0
    # A stop, so that names do not run on into what is said next.
    return " ".join(words) + ".", sum(confidences) / len(confidences)
