"""Moonshine Tiny: English, 27 million weights, which the package `moonshine-voice` brings.

    stretch of speech ─► encoder ─► decoder, a token at a time ─► words with probabilities ─► Said

The package's own library is not loaded: it carries a speech synthesiser, a downloader and a second
ONNX Runtime. Its model files run on ours, which also tells how sure each word is. Words that are
unsure become "…", which parts phrases; a stretch of which little is sure, that is a loop, or that
is music ("♪") is dropped whole. The decoder takes the likeliest token each time. It knows no
processes and no interests.

Releases of moonshine-voice from 0.1.3 on bring no model, hence the pin in the extra `speech`.
Source: Jeffries et al. 2024, Moonshine: speech recognition for live transcription and voice
commands. Licences: code and English models MIT.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.speech.recognizer import (
    MOONSHINE,
    RATE_HZ,
    Said,
    moonshine_folder,
    recognizer_name,
)
from inkling_server.speech.voice import VoiceSettings, find_speech

GAP = "…"
# Chosen on other sentences than bench_speech reports, of the same voices and kinds of noise.
MIN_WORD_PROBABILITY = 0.3
MIN_CONFIDENCE = 0.5
_BEGIN, _END = 1, 2
_VOCABULARY = 32_000  # above: marks of the training, no text
_SPACE = "▁".encode()
# As the model's authors advise: whoever speaks faster is a loop.
_TOKENS_PER_S = 6.5
_MOST_TOKENS = 190  # of the decoder's positions
_LOOP_WORDS, _LOOP_SHARE = 6, 0.4
_MADE_UP = "you"  # what it writes for a gust of wind


@dataclass(frozen=True, slots=True)
class Word:
    """What the decoder wrote between two spaces.

    Attributes:
        text: with its stops.
        probability: that all its tokens but stops are right, given those before, in [0, 1].
    """

    text: str
    probability: float


class MoonshineRecognizer:
    """Recognises English; one thread at a time. Opening takes half a second.

    Args:
        voice: what counts as speech.
        min_word_probability: words below it become "…".
        min_confidence: stretches whose words have less on average are dropped.
    """

    def __init__(
        self,
        voice: VoiceSettings | None = None,
        *,
        min_word_probability: float = MIN_WORD_PROBABILITY,
        min_confidence: float = MIN_CONFIDENCE,
    ) -> None:
        self.name = recognizer_name(MOONSHINE)
        self._voice = voice
        self._min_word_probability = min_word_probability
        self._min_confidence = min_confidence
        folder = moonshine_folder()
        if folder is None:
            raise FileNotFoundError("moonshine-voice brings no model")
        self._encoder = _open(folder / "encoder_model.ort")
        self._decoder = _open(folder / "decoder_model_merged.ort")
        self._tokens = read_tokens((folder / "tokenizer.bin").read_bytes())
        self._outputs = [output.name for output in self._decoder.get_outputs()]
        # Keys and values of attention that the decoder gets back: [1, heads, time, width].
        self._memory = {
            one.name: (one.shape[1], one.shape[3])
            for one in self._decoder.get_inputs()
            if one.name.startswith("past_key_values")
        }

    def transcribe(self, samples_N: NDArray[np.int16], rate_hz: int) -> tuple[Said, ...]:
        """See `SpeechRecognizer.transcribe`."""
        said = []
        for stretch in find_speech(samples_N, rate_hz, self._voice):
            words = self.words(samples_N[stretch.start : stretch.end])
            text, confidence = sure_text(words, self._min_word_probability)
            if text and confidence >= self._min_confidence:
                said.append(Said(text, stretch.start / rate_hz, stretch.end / rate_hz, confidence))
        return tuple(said)

    def words(self, samples_N: NDArray[np.int16]) -> list[Word]:
        """All that the model writes for some speech of at most half a minute."""
        tokens = []
        for token, probability in self._decode(samples_N):
            if token < _VOCABULARY:
                tokens.append((self._tokens[token], probability))
        return to_words(tokens)

    def _decode(self, samples_N: NDArray[np.int16]) -> Iterator[tuple[int, float]]:
        sound_1N = samples_N[None].astype(np.float32) / 32_768
        # It is of the sound's length for both; the model thins it out itself.
        mask_1N = np.ones(sound_1N.shape, np.int64)
        (heard_1TD,) = self._encoder.run(
            None, {"input_values": sound_1N, "attention_mask": mask_1N}
        )
        memory = {
            name: np.zeros(
                (1, heads, heard_1TD.shape[1] if ".encoder." in name else 0, width), np.float32
            )
            for name, (heads, width) in self._memory.items()
        }
        most = max(math.ceil(len(samples_N) / RATE_HZ * _TOKENS_PER_S), 4)
        token = _BEGIN
        for step in range(min(most, _MOST_TOKENS)):
            logits_11V, *present = self._decoder.run(
                None,
                {
                    "input_ids": np.array([[token]], np.int64),
                    "encoder_hidden_states": heard_1TD,
                    "encoder_attention_mask": mask_1N,
                    "use_cache_branch": np.array([step > 0]),
                    **memory,
                },
            )
            logits_V = logits_11V[0, -1].astype(np.float64)
            token = int(logits_V.argmax())
            if token == _END:
                return
            yield token, float(1 / np.exp(logits_V - logits_V[token]).sum())
            for name, value in zip(self._outputs[1:], present, strict=True):
                # What it remembers of the sound comes out of the first step alone.
                if step == 0 or ".decoder." in name:
                    memory[name.replace("present", "past_key_values")] = value


def to_words(tokens: Sequence[tuple[bytes, float]]) -> list[Word]:
    """Pieces of words -> words.

    Args:
        tokens: bytes, which begin with "▁" where a word does, and probabilities.
    """
    groups: list[list[tuple[bytes, float]]] = []
    for piece, probability in tokens:
        if piece.startswith(_SPACE) or not groups:
            groups.append([])
        groups[-1].append((piece, probability))
    words = []
    for group in groups:
        text = b"".join(piece for piece, _ in group).replace(_SPACE, b" ")
        # How sure it is of a comma says nothing of the word before it.
        sure = [p for piece, p in group if any(c.isalnum() for c in _decoded(piece))]
        words.append(Word(_decoded(text).strip(), math.prod(sure)))
    return [word for word in words if word.text]


def sure_text(words: Sequence[Word], least: float) -> tuple[str, float]:
    """Text of a stretch, and the mean probability of all its words, sure or not; ("", 0) for none.

    Args:
        words: of the stretch.
        least: words of less become "…"; runs of them become one.
    """
    said = [word for word in words if any(c.isalnum() for c in word.text)]
    plain = [word.text.lower().strip(".,!?") for word in said]
    if any("♪" in word.text for word in words) or plain in ([], [_MADE_UP]) or is_loop(plain):
        return "", 0.0
    texts: list[str] = []
    for word in said:
        if word.probability >= least:
            texts.append(word.text)
        elif not texts or texts[-1] != GAP:
            texts.append(GAP)
    if all(text == GAP for text in texts):
        return "", 0.0
    return " ".join(texts), sum(word.probability for word in said) / len(said)


def is_loop(words: Sequence[str]) -> bool:
    """Whether few words come again and again, as the decoder writes where it is lost."""
    return len(words) >= _LOOP_WORDS and len(set(words)) <= _LOOP_SHARE * len(words)


def read_tokens(data: bytes) -> list[bytes]:
    """The vocabulary: each token is its length, one byte or two (low seven bits first), and bytes.

    Raises:
        ValueError: it ends too soon.
    """
    tokens, at = [], 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            if at == len(data):
                raise ValueError("a vocabulary that ends within a token")
            length = length - 128 + 128 * data[at]
            at += 1
        if at + length > len(data):
            raise ValueError("a vocabulary that ends within a token")
        tokens.append(data[at : at + length])
        at += length
    return tokens


def _decoded(data: bytes) -> str:
    return data.decode(errors="replace")


def _open(path: Path) -> Any:
    import onnxruntime  # of an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
