"""Picture bytes -> the encoder's pixels: headers and limits first, then one decoder per format.

    pixels ─► codecs ─► header ─► tiff, boxes        each importing only those to its right

Callers need `decode` and `ImageLimits`; `pixels` documents both.
"""

from inkling_server.images.pixels import ImageLimits, decode

__all__ = ["ImageLimits", "decode"]
