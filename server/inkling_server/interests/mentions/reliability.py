"""How far witnesses are believed who name an interest: a noisy-or of sources.

    doubt of one source  = max(1 - most, product over its mentions of (1 - once * agreement))
    doubt of all sources = product over sources

(Pearl 1988). Each source that names the interest is an independent witness. Within one source, each
sentence is a witness worth `once` times its agreement, and all together are worth at most `most`: a
hundred comments are still comments. This module does not know which sources there are, nor what
they are worth: whoever asks brings a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reliability:
    """What a source's word is worth.

    Attributes:
        once: of one sentence that fully agrees, in (0, 1].
        most: of all its sentences, in [once, 1].
    """

    once: float
    most: float

    def __post_init__(self) -> None:
        if not 0 < self.once <= self.most <= 1:
            raise ValueError(f"a reliability needs 0 < once <= most <= 1, not {self}")


@dataclass(slots=True)
class Witnesses:
    """What all sources say of one interest.

    Attributes:
        reliabilities: of every source that will be heard, by name.
    """

    reliabilities: Mapping[str, Reliability]
    _doubts: dict[str, float] = field(default_factory=dict)

    def hear(self, source: str, agreement: float) -> None:
        """One mention more.

        Args:
            source: that names the interest.
            agreement: in (0, 1], how far the mention's place agrees.
        """
        doubt = 1 - self.reliabilities[source].once * agreement
        self._doubts[source] = self._doubts.get(source, 1.0) * doubt

    def doubts(self) -> dict[str, float]:
        """Probability in [0, 1) that each source is wrong, in the order in which they spoke."""
        return {
            source: max(left, 1 - self.reliabilities[source].most)
            for source, left in self._doubts.items()
        }
