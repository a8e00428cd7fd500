"""Recognises what is said in a video's sound.

    samples ─► SpeechWorker ══► process of low priority: voice ─► recogniser ══► Said, Said, ...

    recognizer                what a recogniser is, and which there are
    voice                     where somebody speaks: all else costs little and gives no words
    moonshine_recognizer      the default: English, model and all in a package (extra `speech`)
    whisper_recognizer        faster-whisper on a model directory of the user's
    process, worker           the process, and the gateway's end of it

The gateway imports neither recogniser: only the process does. Nothing here knows videos, interests
or requests.
"""

from inkling_server.speech.opening import open_recognizer
from inkling_server.speech.recognizer import (
    RATE_HZ,
    Said,
    SpeechRecognizer,
    speech_problem,
)
from inkling_server.speech.worker import SpeechWorker, WorkerLimits, open_speech

__all__ = [
    "RATE_HZ",
    "Said",
    "SpeechRecognizer",
    "SpeechWorker",
    "WorkerLimits",
    "open_recognizer",
    "open_speech",
    "speech_problem",
]
