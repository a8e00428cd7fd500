"""Lines of text in a picture, put into reading order and joined into one text.

    lines (in any order) ─► without the doubtful ones ─► rows ─► blocks ─► text

A row is what stands side by side, a block is rows that follow each other closely: a caption that is
broken into three rows is one sentence. Columns of a page are read across, not down: this is for
captions and screenshots, not for newspapers. It knows no pictures and no recogniser.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

# What a request's overlay text may be long (see the API): more is not asked for.
MAX_CHARACTERS = 4_000
# What is a row and what a block, in heights of a line: judgements.
_ROW_OFFSET = 0.5
_BLOCK_GAP = 0.9
_BLOCK_HEIGHT_RATIO = 1.6
_LEAST_CHARACTERS = 2  # letters and digits; a single one is a ring or a pole as often as not


@dataclass(frozen=True, slots=True)
class Box:
    """Where a line stands, in parts of the picture's width and height, each in [0, 1]."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Never 0."""
        return max(self.bottom - self.top, 1e-6)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was recognised.

    Attributes:
        text: what it says.
        confidence: the recogniser's mean over the line's characters, in [0, 1].
        box: where it stands.
    """

    text: str = field(repr=False)
    confidence: float
    box: Box


@dataclass(frozen=True, slots=True)
class ReadText:
    """What is written in a picture.

    Attributes:
        lines: in reading order.
        text: the same as one text; blocks are parted by newlines. At most `MAX_CHARACTERS`.
    """

    lines: tuple[Line, ...] = ()
    text: str = field(default="", repr=False)


NOTHING_READ = ReadText()


def read_text(lines: Sequence[Line], *, min_confidence: float) -> ReadText:
    """Puts lines into reading order, without those that are probably none.

    Args:
        lines: as they were recognised.
        min_confidence: lines below it are dropped, in [0, 1].
    """
    kept = [one for one in lines if one.confidence >= min_confidence and _is_text(one.text)]
    rows = _rows(kept)
    text = ""
    for index, row in enumerate(rows):
        if index:
            text += " " if _belong_together(rows[index - 1], row) else "\n"
        text += " ".join(one.text.strip() for one in row)
    return ReadText(tuple(one for row in rows for one in row), text[:MAX_CHARACTERS])


def joined_overlay(given: str, read: str) -> str:
    """The overlay text of an item: what its author said, and what was read besides.

    A text that the author gave is not there twice, letter case and spaces aside.
    """
    known = _plain(given)
    new = [block for block in read.splitlines() if _plain(block) not in known]
    return "\n".join(part for part in (given, *new) if part)


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _is_text(text: str) -> bool:
    return sum(character.isalnum() for character in text) >= _LEAST_CHARACTERS


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: one.box.top + one.box.bottom):
        if rows:
            first = rows[-1][0].box
            offset = abs(line.box.top + line.box.bottom - first.top - first.bottom) / 2
            if offset < _ROW_OFFSET * min(first.height, line.box.height):
                rows[-1].append(line)
                continue
        rows.append([line])
    for row in rows:
        row.sort(key=lambda one: one.box.left)
    return rows


def _belong_together(above: Sequence[Line], below: Sequence[Line]) -> bool:
    """Whether two rows that follow each other are rows of one block."""
    upper, lower = _around(above), _around(below)
    small, large = sorted((upper.height, lower.height))
    return (
        large < _BLOCK_HEIGHT_RATIO * small
        and lower.top - upper.bottom < _BLOCK_GAP * small
        and min(upper.right, lower.right) > max(upper.left, lower.left)
    )


def _around(row: Sequence[Line]) -> Box:
    return Box(
        min(one.box.left for one in row),
        min(one.box.top for one in row),
        max(one.box.right for one in row),
        max(one.box.bottom for one in row),
    )
