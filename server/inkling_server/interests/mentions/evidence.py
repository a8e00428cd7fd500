"""What sources other than the picture say for an interest, and how far each source is believed.

`SOURCE_RELIABILITIES` says how probable it is that an item is about an interest that one of its
texts names:

    source        once   most   why
    title         0.85   0.95   names the thing in few words; measured 0.90 (dishes)
    caption       0.75   0.95   measured 0.61 (praise of a dish), 0.85 (photos), 0.92 (products)
    hashtag       0.65   0.85   also moods, places and what brings viewers
    overlay       0.50   0.70   slogans, too
    transcript    0.25   0.50   speech wanders
    speech        0.20   0.40   a machine's transcript; times the recogniser's confidence
    body          0.25   0.45   an article tells more than it is about
    location      0.30   0.30   where, seldom what
    comment       0.20   0.35   weak alone, whatever their number

Measured is the share of labelled interests, named as the head of a noun phrase, that the gold has
(benchmarks/bench_context.py); about half of what texts name is labelled nowhere and could not be
judged. All other numbers, and every `most`, are judgements.

Pure values: this module reads no texts and knows no pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from inkling_server.interests.mentions.reliability import Reliability

SOURCE_RELIABILITIES: Mapping[str, Reliability] = {
    "title": Reliability(0.85, 0.95),
    "caption": Reliability(0.75, 0.95),
    "hashtag": Reliability(0.65, 0.85),
    "overlay": Reliability(0.5, 0.7),
    "transcript": Reliability(0.25, 0.5),
    "speech": Reliability(0.2, 0.4),
    "body": Reliability(0.25, 0.45),
    "location": Reliability(0.3, 0.3),
    "comment": Reliability(0.2, 0.35),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source says for an interest.

    Attributes:
        source: a `Field`'s value, or "author": what the item's author posts about.
        weight: probability in (0, 1) that the source is right; a float32 holds it exactly.
        mention_count: times that the source names the interest; items of the author that have it.
        text: the words that name it first, as they were sent, at most 100 characters. "" where
            nobody asked for them, for "author", and where they cannot be found again.
    """

    source: str
    weight: float
    mention_count: int
    # Somebody's words: not for logs and tracebacks.
    text: str = field(default="", repr=False)
