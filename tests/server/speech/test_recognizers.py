"""Both recognisers: PocketSphinx as it is, Whisper around a model that is none."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkling_server.speech import RATE_HZ, Said, open_recognizer, open_speech, speech_problem
from inkling_server.speech.pocketsphinx_recognizer import PocketsphinxRecognizer, sure_words
from inkling_server.speech.whisper_recognizer import WhisperRecognizer
from tests.server.speech.sounds import chord, dog_in_the_lake, noise, silence

pytest.importorskip("pocketsphinx")


@pytest.fixture(scope="module")
def pocketsphinx() -> PocketsphinxRecognizer:
    return PocketsphinxRecognizer()


def test_words_are_recognised_where_they_are_said(pocketsphinx: PocketsphinxRecognizer) -> None:
    sound = np.concatenate([silence(1), dog_in_the_lake(), silence(1)])
    (said,) = pocketsphinx.transcribe(sound, RATE_HZ)

    assert {"dog", "swim", "summer"} <= set(said.text.rstrip(".").split())
    assert said.start_s == pytest.approx(1, abs=0.4)
    assert said.end_s == pytest.approx(1 + len(dog_in_the_lake()) / RATE_HZ, abs=0.4)
    assert 0.45 <= said.confidence <= 1
    assert pocketsphinx.name.startswith("pocketsphinx 5")


def test_a_recogniser_remembers_nothing(pocketsphinx: PocketsphinxRecognizer) -> None:
    first = pocketsphinx.transcribe(dog_in_the_lake(), RATE_HZ)
    pocketsphinx.transcribe(noise(1, 3_000), RATE_HZ)
    second = pocketsphinx.transcribe(dog_in_the_lake(), RATE_HZ)

    # Its mean of the cepstra goes on adapting: confidences may move, words stay.
    assert [one.text for one in first] == [one.text for one in second]


@pytest.mark.parametrize("sound", [silence(3), noise(3, 3_000), chord(3), silence(0)])
def test_no_words_come_from_no_speech(pocketsphinx: PocketsphinxRecognizer, sound: Any) -> None:
    assert pocketsphinx.transcribe(sound, RATE_HZ) == ()


def test_words_are_not_in_a_repr() -> None:
    assert "secret" not in repr(Said("secret", 0.0, 1.0, 0.5))


@dataclass
class Segment:
    word: str
    prob: float


def test_unsure_words_become_one_gap_and_fillers_none() -> None:
    words = [("<s>", 1.0), ("to(3)", 0.8), ("dig", 0.01), ("dog", 0.02), ("[NOISE]", 1.0)]
    text, confidence = sure_words([Segment(*word) for word in [*words, ("swim", 1.0)]], 0.1)

    assert text == "to … swim."
    assert confidence == pytest.approx((0.8 + 0.01 + 0.02 + 1) / 4)


def test_only_unsure_words_are_no_text() -> None:
    assert sure_words([Segment("dog", 0.05)], 0.1) == ("", 0.0)
    assert sure_words([], 0.1) == ("", 0.0)


@dataclass
class Heard:
    text: str
    start: float = 0.0
    end: float = 1.0
    avg_logprob: float = -0.2
    no_speech_prob: float = 0.1


class FakeWhisper:
    def __init__(self, *heard: Heard) -> None:
        self.heard = heard
        self.sounds: list[Any] = []

    def transcribe(self, sound_N: Any, **_: object) -> tuple[Any, None]:
        self.sounds.append(sound_N)
        return iter(self.heard), None


def _whisper(model: FakeWhisper) -> WhisperRecognizer:
    return WhisperRecognizer(Path("/models/tiny"), open_model=lambda _: model)


def test_whisper_hears_speech_only_and_its_times_count_from_the_sound() -> None:
    model = FakeWhisper(Heard(" a dog ", 0.5, 1.5), Heard("swims", 1.5, 99.0))
    sound = np.concatenate([silence(5), dog_in_the_lake(), silence(5)])
    said = _whisper(model).transcribe(sound, RATE_HZ)

    (heard,) = model.sounds
    assert heard.dtype == np.float32
    assert np.abs(heard).max() <= 1
    assert len(heard) < 5 * RATE_HZ
    assert [one.text for one in said] == ["a dog", "swims"]
    assert said[0].start_s == pytest.approx(5.5, abs=0.4)
    assert said[1].end_s < 9
    assert said[0].confidence == pytest.approx(math.exp(-0.2))


def test_what_whisper_makes_up_for_silence_goes() -> None:
    made_up = Heard("thanks for watching", avg_logprob=-1.5, no_speech_prob=0.9)
    model = FakeWhisper(made_up, Heard("  "), Heard("empty", 3.0, 3.0))

    assert _whisper(model).transcribe(dog_in_the_lake(), RATE_HZ) == ()
    assert _whisper(model).transcribe(silence(3), RATE_HZ) == ()
    assert len(model.sounds) == 1


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("off", ""),
        ("pocketsphinx", ""),
        ("pocketsphinx:/x", "no such recogniser"),
        ("siri", "allowed: off, pocketsphinx, faster-whisper:DIR"),
        ("", "no such recogniser"),
        ("faster-whisper:/nowhere", "faster-whisper"),
    ],
)
def test_a_spec_says_what_is_wrong_with_it(spec: str, problem: str) -> None:
    assert problem in speech_problem(spec)
    assert bool(problem) == bool(speech_problem(spec))


def test_what_cannot_be_had_is_not_opened() -> None:
    assert open_speech("off") is None
    with pytest.raises(ValueError, match="no such recogniser"):
        open_speech("siri")
    with pytest.raises(ValueError, match="none to open"):
        open_recognizer("off")
