"""Picture bytes -> the encoder's pixels: headers and limits first, then one decoder per format.

    pixels ─► codecs ─► header ─► tiff, boxes        each importing only those to its right

Callers need `decode` (or `decode_whole`), `ImageLimits` and, for pixels that they have already,
`cut`; `pixels` documents them.
"""

from inkling_server.images.pixels import ImageLimits, cut, decode, decode_whole

__all__ = ["ImageLimits", "cut", "decode", "decode_whole"]
