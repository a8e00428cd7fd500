"""The text in pictures: overlays, captions, screenshots.

    reader (event loop) ─► worker (a process) ─► recognizer (pixels ─► lines)
       └─► lines (order, text) ◄──────────────────────┘

Callers need `open_text_reader` and what it returns. The packages behind it are the extra `ocr`.
"""

from inkling_server.text_reading.lines import (
    NOTHING_READ,
    Box,
    Line,
    ReadText,
    joined_overlay,
)
from inkling_server.text_reading.reader import (
    ProcessTextReader,
    TextReader,
    TextReadingLimits,
    open_text_reader,
)

__all__ = [
    "NOTHING_READ",
    "Box",
    "Line",
    "ProcessTextReader",
    "ReadText",
    "TextReader",
    "TextReadingLimits",
    "joined_overlay",
    "open_text_reader",
]
