"""Text to sentences of tokens.

Words keep inner hyphens and dots ("real-time", "U.S."); a possessive 's is dropped. Knows English
conventions; it does not know sources: text comes in cleaned. Sentence boundaries are guessed from
punctuation, case and common abbreviations.
"""

import re
from functools import lru_cache

from inkling_server.interests.text.document import Field, Sentence, Token, TokenKind
from inkling_server.interests.text.inflections import singular, verb_base
from inkling_server.interests.text.spelling import american
from inkling_server.interests.text.stop_words import STOP_WORDS

_MAX_WORD = 60
_TOKEN = re.compile(
    r"""
    (?:[A-Za-z]\.){2,}                            # U.S.
    | \d++(?:[.,:]\d++)*+(?![^\W\d_])%?           # 3.5  1,000  12:30  50%; not 80s
    | [CF]\#(?!\w) | [Cc]\+\+                     # the few names with signs
    | [^\W_]+(?:(?:['’&.-]|\.-)[^\W_]+)*          # words, rock'n'roll, AT&T, real-time, node.js
    | \.{2,}
    | [^\w\s]
    """,
    re.VERBOSE,
)
# A mark, closing quotes or brackets, white space, then the start of something new.
_END = re.compile(r"([.!?…]+[\"'”’)\]]*)\s+(?=[\"'“‘(\[]*[^\W_a-z])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Mt|Jr|Sr|vs|etc|e\.g|i\.e|cf|al|Fig|fig|approx|"
    r"Inc|Ltd|Co|Corp|Gen|Sen|Rep|Rev|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec))\.$"
)
_BREAK = re.compile(r"[\r\n\u2028\u2029]+")
_PARAGRAPH = re.compile(r"\s*\n\s*\n\s*|\u2029")


@lru_cache(maxsize=1 << 17)
def token(text: str) -> Token:
    """The token of one surface form."""
    lower = text.lower().replace("’", "'")
    if not any(letter.isalpha() for letter in text):
        kind = TokenKind.NUMBER if text[0].isdigit() else TokenKind.PUNCTUATION
        return Token(text, lower, lower, kind, False)
    if lower in STOP_WORDS:
        return Token(text, lower, lower, TokenKind.WORD, True)
    bare = lower.rstrip(".") if lower.count(".") < 2 else lower.replace(".", "")
    head, joint, last = bare.rpartition("-")
    noun = singular(american(last))
    normal = head + joint + noun
    return Token(text, normal, head + joint + verb_base(noun), TokenKind.WORD, False)


def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of one sentence."""
    found = []
    for surface in _TOKEN.findall(text):
        if len(surface) > 2 and surface[-2] in "'’" and surface[-1] in "sS":
            if surface.lower().replace("’", "'") in STOP_WORDS:
                found.append(token(surface))
                continue
            surface = surface[:-2]
        if len(surface) <= _MAX_WORD:
            found.append(token(surface))
    return tuple(found)


def sentences(
    text: str, field: Field = Field.BODY, *, line_breaks: bool = True
) -> tuple[Sentence, ...]:
    """Splits cleaned text.

    Args:
        text: any length.
        field: where it comes from.
        line_breaks: a line break ends a sentence; else only an empty line does.
    """
    found = []
    for line in (_BREAK if line_breaks else _PARAGRAPH).split(text):
        for piece in _pieces(line):
            words = tokens(piece)
            if words:
                found.append(Sentence(field, piece, words))
    return tuple(found)


def _pieces(line: str) -> list[str]:
    pieces = []
    start = 0
    for end in _END.finditer(line):
        if end[1] == "." and _ABBREVIATION.search(line, start, end.end(1)):
            continue
        pieces.append(line[start : end.end(1)].strip())
        start = end.end()
    pieces.append(line[start:].strip())
    return pieces
