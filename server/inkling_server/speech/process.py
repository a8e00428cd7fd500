"""Recognises speech in a process of its own: a crash or a flood of memory costs one answer.

    python -m inkling_server.speech.process SPEC NICE MEMORY_BYTES

The gateway starts it (`SpeechWorker`); nobody types it. It talks over the socket that is its
standard input, as `refresh.pipe` says:

    {"type": "ready", "name": "moonshine-voice 0.0.69"}               process -> gateway
    {"type": "transcribe", "rate_hz": 16000, "bytes": 64000} + int16   gateway -> process
    {"type": "said", "said": [["hello there", 0.3, 1.1, 0.9]]}         process -> gateway
    {"type": "failed", "problem": "MemoryError"}                       the same

It ends with the gateway, writes no files and remembers no sound.
"""

import os
import resource
import sys
from contextlib import suppress

import numpy as np

from inkling_server.child_process import be_nice, end_with_parent
from inkling_server.refresh.pipe import Message, PipeBroken, ProcessPipe
from inkling_server.speech.opening import open_recognizer
from inkling_server.speech.recognizer import SpeechRecognizer

_MOST_FILES = 256


def serve(pipe: ProcessPipe, recognizer: SpeechRecognizer) -> None:
    """Answers until the gateway is gone, which is PipeBroken.

    Args:
        pipe: to the gateway.
        recognizer: does the work.
    """
    pipe.send({"type": "ready", "name": recognizer.name})
    while True:
        message, body = pipe.receive()
        pipe.send(_answer(recognizer, message, body))


def _answer(recognizer: SpeechRecognizer, message: Message, body: bytes) -> Message:
    try:
        samples_N = np.frombuffer(body, np.int16)
        said = recognizer.transcribe(samples_N, int(message["rate_hz"]))
    except (Exception, MemoryError) as error:
        # Its kind and nothing else: its text may hold words.
        return {"type": "failed", "problem": type(error).__name__}
    rows = [[one.text, one.start_s, one.end_s, one.confidence] for one in said]
    return {"type": "said", "said": rows}


def limit(nice: int, memory_bytes: int) -> None:
    """Makes this process leave when its parent does, wait for others, and write nothing."""
    end_with_parent()
    be_nice(nice)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_FILES, _MOST_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str] | None = None) -> int:
    """What runs in the process."""
    spec, nice, memory_bytes = sys.argv[1:] if arguments is None else arguments
    limit(int(nice), int(memory_bytes))
    # What libraries print must not get into the conversation.
    socket = os.dup(0)
    os.dup2(2, 1)
    with os.fdopen(socket, "r+b", buffering=0, closefd=True) as raw:
        reader = os.fdopen(os.dup(raw.fileno()), "rb")
        writer = os.fdopen(os.dup(raw.fileno()), "wb")
        with suppress(PipeBroken):
            serve(ProcessPipe(reader, writer), open_recognizer(spec))
    return 0


if __name__ == "__main__":
    sys.exit(main())
