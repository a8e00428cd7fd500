"""What WordNet 3.0 says of nouns, through NLTK's reader: senses, synonyms, broader senses, parts.

    folder ─► nltk WordNetCorpusReader ─► Nouns: phrase -> senses -> words, broader senses, parts

The data is looked for where NLTK keeps it (corpora/wordnet) and where Debian's package
wordnet-base does (/usr/share/wordnet); whoever asks must live without it. NLTK's reader shares one
open file, so one `Nouns` belongs to one thread: ask in advance, keep the answers. It knows no
interests and no pictures. WordNet 3.0 is (c) 2006 by Princeton University.
"""

import io
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

DEBIAN = Path("/usr/share/wordnet")
_FILES = ("data.noun", "index.noun", "noun.exc", "cntlist.rev", "data.verb", "index.verb")
# lexnames(5WN): NLTK wants this file, which Debian leaves out.
_LEXNAMES = (  # noqa: SIM905 - forty-five of them
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute "
    "noun.body noun.cognition noun.communication noun.event noun.feeling noun.food noun.group "
    "noun.location noun.motive noun.object noun.person noun.phenomenon noun.plant "
    "noun.possession noun.process noun.quantity noun.relation noun.shape noun.state "
    "noun.substance noun.time verb.body verb.change verb.cognition verb.communication "
    "verb.competition verb.consumption verb.contact verb.creation verb.emotion verb.motion "
    "verb.perception verb.possession verb.social verb.stative verb.weather adj.ppl"
).split()
# Above these nothing is told of a thing: a dog is a "physical entity".
_TOO_BROAD = frozenset({"noun.Tops"})


def find_wordnet() -> Path | None:
    """The folder of a WordNet 3.0 database, or None."""
    import nltk.data

    folders = [Path(path) / "corpora" / "wordnet" for path in nltk.data.path]
    for folder in (*folders, DEBIAN):
        if all((folder / name).is_file() for name in _FILES):
            return folder
    return None


class Nouns:
    """Looks nouns up. One thread at a time.

    A sense is a number that means nothing outside this object's data; senses of a noun come most
    frequent first.

    Args:
        folder: holds the database files.

    Raises:
        OSError: a file is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._reader = _open_reader(folder)
        self._synsets: dict[int, Any] = {}
        self._senses: dict[str, tuple[int, ...]] = {}
        self._closures: dict[tuple[int, bool], frozenset[int]] = {}

    def senses(self, noun: str) -> tuple[int, ...]:
        """Senses of a noun or compound, inflected or not; () where it is unknown."""
        known = self._senses.get(noun)
        if known is None:
            synsets = self._reader.synsets(noun.casefold().replace(" ", "_"), pos="n")
            known = self._senses[noun] = tuple(map(self._keep, synsets))
        return known

    def known_senses(self, noun: str) -> tuple[int, ...]:
        """Senses of the compound, else of its head: a "party dress" is a dress."""
        words = noun.split()
        while words:
            found = self.senses(" ".join(words))
            if found:
                return found
            words = words[1:]
        return ()

    def is_own_name(self, noun: str, sense: int) -> bool:
        """Whether the sense is of this very word: not of one that it is an inflection of, nor of a
        name that is written with a capital.
        """
        return noun in self.words(sense)

    def words(self, sense: int) -> tuple[str, ...]:
        """Names of a sense, the most usual first."""
        return tuple(name.replace("_", " ") for name in self._synsets[sense].lemma_names())

    def broader(self, sense: int) -> tuple[int, ...]:
        """The next broader senses; what one thing is an instance of, too."""
        synset = self._synsets[sense]
        return tuple(map(self._keep, synset.hypernyms() + synset.instance_hypernyms()))

    def ancestors(self, sense: int) -> frozenset[int]:
        """All broader senses that still say something: not "entity"."""
        return self._closure(sense, with_wholes=False)

    def above(self, sense: int) -> frozenset[int]:
        """What it is a kind, a part, a member or the substance of, and so on upwards: an apartment
        is part of an apartment building, which is a kind of building.
        """
        return self._closure(sense, with_wholes=True)

    def _closure(self, sense: int, *, with_wholes: bool) -> frozenset[int]:
        known = self._closures.get((sense, with_wholes))
        if known is None:
            found: set[int] = set()
            waiting = [sense]
            while waiting:
                for synset in _upwards(self._synsets[waiting.pop()], with_wholes=with_wholes):
                    if synset.lexname() not in _TOO_BROAD and synset.offset() not in found:
                        found.add(self._keep(synset))
                        waiting.append(synset.offset())
            known = self._closures[sense, with_wholes] = frozenset(found)
        return known

    def _keep(self, synset: Any) -> int:
        sense = int(synset.offset())
        self._synsets[sense] = synset
        return sense


def _upwards(synset: Any, *, with_wholes: bool) -> Iterable[Any]:
    yield from synset.hypernyms()
    yield from synset.instance_hypernyms()
    if with_wholes:
        yield from synset.part_holonyms()
        yield from synset.member_holonyms()
        yield from synset.substance_holonyms()


@cache
def open_nouns(folder: Path) -> Nouns:
    """One per folder and process: it takes 2 seconds and 150 MB to read."""
    return Nouns(folder)


def _open_reader(folder: Path) -> Any:
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    if str(folder) not in nltk.data.path:
        nltk.data.path.append(str(folder))  # NLTK opens nothing outside of these

    class Reader(WordNetCorpusReader):  # type: ignore[misc]  # NLTK has no types
        def open(self, file: str) -> Any:
            if file == "lexnames" and not (folder / file).is_file():
                rows = (f"{number:02d}\t{name}\t1\n" for number, name in enumerate(_LEXNAMES))
                return io.StringIO("".join(rows))
            return super().open(file)

        def map_wn(self, version: str = "wordnet") -> None:
            """Renumbers senses for other languages: not needed, and wants one more file."""

    with warnings.catch_warnings():
        # It misses its multilingual part, which nobody here asks for.
        warnings.simplefilter("ignore")
        return Reader(str(folder), None)
