"""Opens the recogniser that a spec names; what each needs is imported with it alone."""

from pathlib import Path

from inkling_server.speech.recognizer import (
    MOONSHINE,
    OFF,
    SpeechRecognizer,
    speech_problem,
)


def open_recognizer(spec: str) -> SpeechRecognizer:
    """Loads a recogniser: half a second and 100 MB, Whisper much more.

    Args:
        spec: see `recognizer`.

    Raises:
        ValueError: it cannot be had here; says why.
    """
    problem = speech_problem(spec) or ("there is none to open" if spec == OFF else "")
    if problem:
        raise ValueError(f"speech recogniser: {problem}")
    kind, _, folder = spec.partition(":")
    if kind == MOONSHINE:
        from inkling_server.speech.moonshine_recognizer import MoonshineRecognizer

        return MoonshineRecognizer()
    from inkling_server.speech.whisper_recognizer import WhisperRecognizer

    return WhisperRecognizer(Path(folder))
