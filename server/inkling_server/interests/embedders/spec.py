"""How settings name an embedder.

    text_encoder                 the serving text encoder
    word2vec, fasttext           trained on the corpus
    vectors:PATH                 a word2vec or GloVe file
    sentence-transformers:DIR    a sentence-transformers directory

It imports nothing heavy, so that settings can be checked at once, and does not look whether PATH is
there: `open_embedder` does.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

Kind: TypeAlias = Literal[
    "text_encoder", "word2vec", "fasttext", "vectors", "sentence-transformers"
]
_WITH_PATH = ("vectors", "sentence-transformers")
ALLOWED = "text_encoder, word2vec, fasttext, vectors:PATH, sentence-transformers:DIR"


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """One embedder's name, taken apart.

    Attributes:
        kind: what it is.
        path: its file or folder, for the kinds that have one; else empty.
    """

    kind: Kind
    path: str


def check_spec(spec: str) -> EmbedderSpec:
    """Takes a name apart.

    Raises:
        ValueError: not one of the allowed forms; the text lists them.
    """
    kind, colon, path = spec.partition(":")
    is_sound = kind in get_args(Kind) and (bool(path) if kind in _WITH_PATH else not colon)
    if not is_sound:
        raise ValueError(f"embedder {spec!r}: unknown; allowed: {ALLOWED}")
    return EmbedderSpec(cast(Kind, kind), path)
