"""The process that reads pictures: `python -m inkling_server.text_reading.worker`.

    length, picture ─► decode ─► Recognizer ─► lines as JSON ─► length, reply

Started by the gateway only (`reader.py`), one picture at a time, over its standard input and
output: four bytes of length, big-endian, then as many bytes. The first reply says that the models
are loaded. A picture that cannot be read has a reply, too; one that kills the process takes nothing
else with it. It is nicer than the gateway, and goes when the gateway goes. It knows no requests.
"""

import json
import os
import resource
import signal
import struct
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

from inkling_server import images
from inkling_server.child_process import end_with_parent
from inkling_server.errors import InvalidRequest
from inkling_server.images import ImageLimits
from inkling_server.text_reading.recognizer import LONGEST, Recognizer

LENGTH = struct.Struct(">I")
_NICENESS = 5
# Far above what it needs (under 1 GiB): the last line of defence.
_MOST_MEMORY = 6 * 1024**3


def serve(requests: BinaryIO, replies: BinaryIO, limits: ImageLimits) -> None:
    """Answers until the input ends."""
    recognizer = Recognizer()
    _send(replies, {"ready": True})
    while header := requests.read(LENGTH.size):
        (length,) = LENGTH.unpack(header)
        data = requests.read(length)
        if len(data) < length:
            return
        try:
            lines = recognizer.read(images.decode_whole(data, LONGEST, limits))
        except InvalidRequest:
            reply: dict[str, Any] = {"problem": "picture"}
        except MemoryError:
            reply = {"problem": "memory"}
        else:
            reply = {"lines": [asdict(line) for line in lines]}
        _send(replies, reply)


def _send(replies: BinaryIO, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    replies.write(LENGTH.pack(len(body)) + body)
    replies.flush()


def main() -> int:
    """What runs in the process; its argument is the limits as JSON."""
    end_with_parent()
    # Ctrl-C in a terminal goes to the whole group; the gateway ends it when it has drained.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not be taken for a reply
    serve(sys.stdin.buffer, replies, ImageLimits(**json.loads(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
