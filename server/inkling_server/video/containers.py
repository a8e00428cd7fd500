"""Which container a file is, by its first bytes: nothing else of it is believed.

The name given here is the only demuxer that the decoder may use. That is what keeps playlists and
edit lists out (HLS, DASH, concat, SDP ...), which are texts that name other files.
"""

from inkling_server.errors import VideoInvalid

# Enough to tell; a video cannot be shorter.
PROBE_BYTES = 32

ALLOWED = "MP4, MOV, MKV, WebM or GIF"

_MATROSKA = b"\x1a\x45\xdf\xa3"
# The first box of an MP4 or MOV, after its 4 bytes of length.
_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp"))
_OTHERS = (
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a list of files"),
    (b"<?xml", "an XML document"),
    (b"<MPD", "a manifest"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"RIFF", "an AVI, WAV or WebP file"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"\x30\x26\xb2\x75", "an ASF or WMV file"),
    (b"FLV", "an FLV file"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
)


def container_of(start: bytes) -> str:
    """Tells the container by its first bytes.

    Args:
        start: the file's first `PROBE_BYTES` bytes.

    Returns:
        FFmpeg's name of the demuxer: "mov", "matroska" or "gif".

    Raises:
        VideoInvalid: it is none of them.
    """
    if len(start) < PROBE_BYTES:
        raise VideoInvalid(f"too short for a video; allowed: {ALLOWED}")
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if start.startswith(_MATROSKA):
        return "matroska"
    if start[4:8] in _BOXES:
        if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"heic", b"mif1", b"heix"):
            raise VideoInvalid(f"a HEIC or AVIF picture and no video; allowed: {ALLOWED}")
        return "mov"
    if not any(start):
        raise VideoInvalid(f"nothing but zero bytes; allowed: {ALLOWED}")
    for magic, name in _OTHERS:
        if start.startswith(magic):
            raise VideoInvalid(f"{name} and no video of a known kind; allowed: {ALLOWED}")
    raise VideoInvalid(f"not a video of a known kind; allowed: {ALLOWED}")
