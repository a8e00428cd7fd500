"""A corpus's sentences with known phrases joined into one token: "new", "york" -> "new_york".

It reads the sentences twice to count, and once more each time that it is iterated. It trains
nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from inkling_server.interests.embedders.composition import JOINT


class JoinedSentences:
    """Iterable any number of times; gives lists of tokens.

    Args:
        sentences: words of each; an iterator is kept in memory.
        phrases: words parted by spaces; those of one word say nothing here.
        min_count: a phrase that occurs less often stays apart: its words would lose their
            neighbours, and it would get no vector.

    Attributes:
        token_count: of all sentences, after joining.
        has_words: some token occurs `min_count` times.
    """

    def __init__(
        self, sentences: Iterable[Sequence[str]], phrases: Collection[str], *, min_count: int
    ) -> None:
        # An iterator can be read once only.
        self._sentences = list(sentences) if isinstance(sentences, Iterator) else sentences
        self._phrases = {words for p in phrases if len(words := tuple(p.split())) > 1}
        self._longest = max(map(len, self._phrases), default=1)
        # Each by itself, also within longer ones: those may turn out to be too rare.
        seen = Counter(run for words in self._sentences for run in self._runs(words))
        self._phrases = {phrase for phrase, count in seen.items() if count >= min_count}
        self._longest = max(map(len, self._phrases), default=1)
        counts = Counter(token for tokens in self for token in tokens)
        self.token_count = counts.total()
        self.has_words = any(count >= min_count for count in counts.values())

    def __iter__(self) -> Iterator[list[str]]:
        for sentence in self._sentences:
            yield self._joined(sentence) if self._phrases else list(sentence)

    def _runs(self, words: Sequence[str]) -> Iterator[tuple[str, ...]]:
        for length in range(2, self._longest + 1):
            for start in range(len(words) - length + 1):
                run = tuple(words[start : start + length])
                if run in self._phrases:
                    yield run

    def _joined(self, words: Sequence[str]) -> list[str]:
        tokens = []
        start = 0
        while start < len(words):
            for length in range(min(self._longest, len(words) - start), 1, -1):
                run = tuple(words[start : start + length])
                if run in self._phrases:
                    tokens.append(JOINT.join(run))
                    start += length
                    break
            else:
                tokens.append(words[start])
                start += 1
        return tokens
