"""The decoding process: `python -m inkling_server.video.worker`, started by the gateway only.

    order ─► take the limits ─► open the one file ─► read ─► frames, sound, facts back, or a refusal

Decoders are large C programs that read what strangers made. Here one may crash, hang or eat memory,
and it costs the video that did it. The process can open no file but the video (and so no socket),
write none, and has bounds of memory and processor time; the gateway adds one of wall-clock time. It
goes at once when the gateway goes. Nothing here knows gRPC, models or tags.
"""

import importlib
import math
import os
import pkgutil
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import av

from inkling_server.child_process import end_with_parent
from inkling_server.errors import InklingError, VideoInvalid, VideoTooLarge
from inkling_server.model_manifest import PixelSpec
from inkling_server.video import captions
from inkling_server.video.pipe import Message, PipeBroken, pack, receive
from inkling_server.video.reading import Wanted, read_video
from inkling_server.video.records import Video, VideoLimits

# One video may use this many processors for all of its time.
_PROCESSORS = 4
_LONGEST_STACK = 4_000


def main(arguments: list[str] | None = None) -> int:
    """Decodes videos until the gateway closes the pipe; returns the exit code."""
    del arguments  # it takes none
    end_with_parent()
    # Standard output is the pipe: whatever else prints must not get into it.
    writer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))
    # Ends the process with SIGXFSZ otherwise.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _load_everything()
    idle_bytes = _allocated_bytes()
    try:
        _send(writer, pack({"type": "ready"}))
        while (order := receive(sys.stdin.buffer)) is not None:
            _send(writer, pack({"type": "started"}))
            if not _carry_out(order, writer, idle_bytes):
                return 1
    except (PipeBroken, OSError):
        return 1
    return 0


def _carry_out(order: Message, writer: BinaryIO, idle_bytes: int) -> bool:
    """Decodes one video; returns whether the process is fit for another one."""
    limits = VideoLimits(**order["limits"])
    wanted = Wanted(
        PixelSpec(**order["spec"]), order["max_frames"], order["want_sound"], order["want_full"]
    )
    _limit(limits, idle_bytes)
    try:
        with Path(order["path"]).open("rb") as file, _no_other_files():
            video = read_video(file, wanted, limits)
    except InklingError as error:
        _send(writer, pack(_refusal(error)))
        return True
    except MemoryError:
        refused = VideoTooLarge("memory of the decoder in bytes", None, limits.max_memory_bytes)
        _send(writer, pack(_refusal(refused)))
        return False
    except Exception as error:
        message = _refusal(VideoInvalid("a video that cannot be decoded: damaged"))
        # Where it happened, for the gateway's log, and no text: it may quote the file.
        where = "".join(traceback.format_tb(error.__traceback__))[-_LONGEST_STACK:]
        _send(writer, pack({**message, "error": type(error).__name__, "stack": where}))
        return False
    _answer(writer, video)
    return True


def _answer(writer: BinaryIO, video: Video) -> None:
    for frame in video.frames:
        times = {"time_s": frame.time_s, "start_s": frame.start_s, "end_s": frame.end_s}
        bodies = [frame.pixels_SS3.tobytes()]
        if frame.full is not None:
            bodies.append(frame.full)
        _send(writer, pack({"type": "frame", **times}, bodies))
    if video.sound is not None:
        message = {"type": "sound", "rate_hz": video.sound.rate_hz}
        _send(writer, pack(message, [video.sound.samples_N.tobytes()]))
    _send(writer, pack({"type": "done", "facts": asdict(video.facts)}))


def _refusal(error: InklingError) -> Message:
    if isinstance(error, VideoTooLarge):
        measured = {"what": error.what, "actual": error.actual, "allowed": error.allowed}
        return {"type": "too large", **measured}
    return {"type": "invalid", "problem": str(error)}


def _send(writer: BinaryIO, data: bytes) -> None:
    writer.write(data)
    writer.flush()


def _load_everything() -> None:
    """Imports what would be imported when it is first needed: later no file can be opened."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith(("__main__", "datasets")):
            importlib.import_module(module.name)
    # numpy imports parts of itself when they are called.
    captions.cleaned(captions.example())


def _limit(limits: VideoLimits, idle_bytes: int) -> None:
    # Private memory that can be written: what allocations and threads' stacks take. The address
    # space as a whole (RLIMIT_AS) would count libraries and files too.
    bytes_ = idle_bytes + limits.max_memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_, resource.RLIM_INFINITY))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime + _PROCESSORS * limits.max_decode_s
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds) + 1, resource.RLIM_INFINITY))


def _allocated_bytes() -> int:
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("VmData:"))
        return int(line.split()[1]) * 1024
    return 256 * 1024 * 1024


@contextmanager
def _no_other_files() -> Iterator[None]:
    """Nothing can be opened during the block; what is open stays open."""
    limits: Any = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


if __name__ == "__main__":
    sys.exit(main())
