"""Both recognisers: Moonshine as it is, Whisper around a model that is none."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkling_server.speech import RATE_HZ, Said, open_recognizer, open_speech, speech_problem
from inkling_server.speech.moonshine_recognizer import (
    MoonshineRecognizer,
    Word,
    read_tokens,
    sure_text,
    to_words,
)
from inkling_server.speech.whisper_recognizer import WhisperRecognizer
from tests.server.speech.sounds import calculated_voice, chord, dog_in_the_lake, noise, silence

pytest.importorskip("webrtcvad")


@pytest.fixture(scope="module")
def moonshine() -> MoonshineRecognizer:
    if problem := speech_problem("moonshine"):
        pytest.skip(problem)
    return MoonshineRecognizer()


def test_words_are_recognised_where_they_are_said(moonshine: MoonshineRecognizer) -> None:
    sound = np.concatenate([silence(1), dog_in_the_lake(), silence(1)])
    (said,) = moonshine.transcribe(sound, RATE_HZ)

    assert {"dog", "swim", "lake"} <= set(said.text.split())
    assert said.start_s == pytest.approx(1, abs=0.4)
    assert said.end_s == pytest.approx(1 + len(dog_in_the_lake()) / RATE_HZ, abs=0.4)
    assert 0.5 <= said.confidence <= 1
    assert moonshine.name.startswith("moonshine-voice 0.")


def test_a_calculated_voice_is_understood(moonshine: MoonshineRecognizer) -> None:
    (said,) = moonshine.transcribe(calculated_voice(), RATE_HZ)

    assert {"dog", "swim", "lake", "summer"} <= set(said.text.rstrip(".").split())


def test_a_recogniser_remembers_nothing(moonshine: MoonshineRecognizer) -> None:
    first = moonshine.transcribe(dog_in_the_lake(), RATE_HZ)
    moonshine.transcribe(noise(1, 3_000), RATE_HZ)

    assert moonshine.transcribe(dog_in_the_lake(), RATE_HZ) == first


@pytest.mark.parametrize("sound", [silence(3), noise(3, 3_000), chord(3), silence(0)])
def test_no_words_come_from_no_speech(moonshine: MoonshineRecognizer, sound: Any) -> None:
    assert moonshine.transcribe(sound, RATE_HZ) == ()


def test_music_that_passes_the_gate_gives_no_words(moonshine: MoonshineRecognizer) -> None:
    loud = chord(4)
    plucked = (loud * np.exp(-(np.arange(len(loud)) % 8_000) / 2_000)).astype(np.int16)
    words = moonshine.words(plucked)

    assert "♪" in "".join(word.text for word in words)
    assert sure_text(words, 0.0) == ("", 0.0)


def test_pieces_become_words_and_stops_do_not_count() -> None:
    pieces = [("▁My", 0.9), ("▁pup", 0.8), ("py", 0.5), (",", 0.1), ("▁s", 1.0)]
    words = to_words([(piece.encode(), probability) for piece, probability in pieces])

    assert [word.text for word in words] == ["My", "puppy,", "s"]
    assert [word.probability for word in words] == pytest.approx([0.9, 0.4, 1.0])


def test_a_letter_in_several_bytes_is_put_together() -> None:
    (word,) = to_words([("▁caf".encode(), 1.0), (b"\xc3", 1.0), (b"\xa9", 1.0)])

    assert word.text == "café"


def test_unsure_words_become_one_gap() -> None:
    words = [Word("to", 0.8), Word("dig", 0.01), Word("dog", 0.02), Word("swim.", 1.0)]
    text, confidence = sure_text(words, 0.1)

    assert text == "to … swim."
    assert confidence == pytest.approx((0.8 + 0.01 + 0.02 + 1) / 4)


@pytest.mark.parametrize(
    "words",
    [
        [],
        [Word("dog", 0.05)],
        [Word(".", 1.0)],
        [Word("You", 0.9)],
        [Word("La", 0.9), Word("♪♪♪", 1.0)],
        [Word(word, 0.9) for word in ["looking", "for", "you"] * 4],
    ],
    ids=["nothing", "unsure", "a stop", "made up for noise", "music", "a loop"],
)
def test_what_is_no_speech_is_no_text(words: list[Word]) -> None:
    assert sure_text(words, 0.1) == ("", 0.0)


def test_a_vocabulary_is_read_and_a_cut_one_refused() -> None:
    long = b"x" * 200
    data = b"\x02ab\x00\xc8\x01" + long

    assert read_tokens(data) == [b"ab", b"", long]
    for cut in (b"\x02a", b"\xc8", data[:-1]):
        with pytest.raises(ValueError, match="within a token"):
            read_tokens(cut)


def test_words_are_not_in_a_repr() -> None:
    assert "secret" not in repr(Said("secret", 0.0, 1.0, 0.5))


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
        ("moonshine", ""),
        ("moonshine:/x", "no such recogniser"),
        ("siri", "allowed: off, moonshine, faster-whisper:DIR"),
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
