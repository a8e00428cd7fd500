"""Builds the taught vocabulary: the interests that the default graph is mined around.

    python -m inkling_training.vocabulary --data DIR --out SEEDS

Candidates come from three sides: the phrases of `ontology` (all kept), an editorial list of
everyday interests (kept when the corpora name them often enough), and nouns of WordNet that the
corpora use, of kinds that can be seen. What an interest is called elsewhere becomes an alias:
plurals, British spellings, hashtag forms, as far as the corpora hold them. `count` is the number of
documents that name the interest, or something that it follows from by meaning: a puppy is a dog.
Same data, same snapshot.

All are pinned: the model is taught to see them. This script knows no pixels and no model;
`default_graph` mines the rest of the default graph around what it makes.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

from inkling_server.interests.graph import Interest, interest_id, make_snapshot
from inkling_server.interests.snapshot import save_snapshot
from inkling_training import ontology
from inkling_training import vocabulary_names as names
from inkling_training.data import sample_data_dir
from inkling_training.vocabulary_corpus import Document, read_documents
from inkling_training.vocabulary_lexicon import Candidate, Entry, Lexicon
from inkling_training.vocabulary_wordnet import WordNet

# An everyday candidate needs this many documents to become an interest.
_MIN_EVERYDAY = 1
# A noun that only the dictionary proposes needs more, by kind: corpora use it in the sense that can
# be seen ...
_MIN_NOUN = {
    "animal": 6,
    "food": 6,
    "plant": 8,
    "artifact": 25,
    "body": 25,
    "object": 25,
    "phenomenon": 40,
    "person": 60,
}
# ... which a word has that is a noun in most of its uses.
_MIN_NOUN_SHARE = 0.6


def collect_candidates(
    documents: Iterable[Document], wordnet: WordNet | None, blocklist: names.Blocklist
) -> list[list[Candidate]]:
    """Readable, decent candidates in three tiers: ontology, everyday, dictionary."""
    synonyms = ontology.synonyms()
    tiers: list[list[Candidate]] = [
        [(phrase, synonyms.get(phrase, ())) for phrase in sorted(ontology.target_phrases())],
        names.everyday_candidates(),
        [(noun, ()) for noun in frequent_nouns(documents, wordnet)] if wordnet else [],
    ]

    def fits(name: str) -> bool:
        return names.is_readable(name) and not blocklist.blocks(name)

    return [
        [(phrase, tuple(filter(fits, aliases))) for phrase, aliases in tier if fits(phrase)]
        for tier in tiers
    ]


def frequent_nouns(documents: Iterable[Document], wordnet: WordNet) -> list[str]:
    """Nouns of kinds that can be seen, used by enough documents; most used first."""
    compounds = {names.key(noun): noun for noun in wordnet.compounds()}
    rejected = names.rejected_words()
    counts: Counter[str] = Counter()
    for document in documents:
        used = {compounds.get(names.key(name), name.casefold()) for name in document.names}
        for text in document.texts:
            parts = names.words(text)
            used.update(parts)
            used.update(
                pair for pair in map(" ".join, pairwise(parts)) if names.key(pair) in compounds
            )
        counts.update({noun for noun in map(wordnet.singular, used) if noun is not None})
    found = []
    for noun, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        facts = wordnet.noun(noun)
        if (
            facts is not None
            and not facts.proper
            and facts.share >= _MIN_NOUN_SHARE
            and count >= _MIN_NOUN.get(facts.kind, count + 1)
            and len(noun) > 2
            and names.key(noun) not in rejected
        ):
            found.append(noun)
    return found


def count_interests(
    documents: Iterable[Document],
    lexicon: Lexicon,
    unclear: names.UnclearWords,
) -> list[Interest]:
    """Counts documents; makes interests of what the ontology names or is seen often enough."""
    certain = ontology.target_phrases()
    direct: Counter[int] = Counter()
    total: Counter[int] = Counter()
    implied = _implied_rows(lexicon)
    for document in documents:
        found = lexicon.find(document, unclear)
        direct.update(found.keys())
        total.update(found.keys() | {other for row in found for other in implied[row]})
        for row, forms in found.items():
            lexicon.entries[row].seen.update(forms)
    interests = []
    for row, entry in enumerate(lexicon.entries):
        if entry.phrase in certain or direct[row] >= _MIN_EVERYDAY:
            aliases = _aliases(entry)
            name, count = interest_id(entry.phrase), total[row]
            interests.append(Interest(name, entry.phrase, aliases, count, pinned=True))
    return interests


def _implied_rows(lexicon: Lexicon) -> list[frozenset[int]]:
    """For each entry, the others that follow from it by meaning, however many steps away."""
    implications = ontology.implications()
    step: list[set[int]] = []
    for entry in lexicon.entries:
        phrases = implications.get(entry.phrase.casefold(), {})
        rows = {lexicon.row(phrase) for phrase, strength in phrases.items() if strength == 1.0}
        step.append({row for row in rows if row is not None})
    closed = []
    for start in range(len(step)):
        reached, waiting = {start}, [start]
        while waiting:
            fresh = step[waiting.pop()] - reached
            reached |= fresh
            waiting.extend(fresh)
        closed.append(frozenset(reached - {start}))
    return closed


def _aliases(entry: Entry) -> tuple[str, ...]:
    """Editorial aliases and the forms that were seen more than once, without the phrase itself."""
    forms = [*entry.editorial, *(form for form, count in entry.seen.items() if count > 1)]
    spoken = {" ".join(names.words(entry.phrase)), entry.phrase}
    return tuple(sorted({form for form in forms if form not in spoken}))


def main() -> None:
    """Reads the command line and builds the snapshot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="sample data (default: INKLING_SAMPLE_DATA)")
    parser.add_argument("--out", type=Path, required=True, help="folder of graph snapshots")
    parser.add_argument(
        "--wordnet",
        type=Path,
        default=Path("/usr/share/wordnet"),
        help="folder of a WordNet 3.0 database",
    )
    parser.add_argument(
        "--created",
        type=date.fromisoformat,
        help="date of the snapshot (default: newest document's)",
    )
    arguments = parser.parse_args()
    data = arguments.data or sample_data_dir()
    documents = list(read_documents(data))
    tiers = collect_candidates(documents, WordNet(arguments.wordnet), names.Blocklist.default())
    lexicon = Lexicon(tiers, names.spellings(data / "lexicons" / "varcon.txt"))
    interests = count_interests(documents, lexicon, names.UnclearWords.default())
    newest = max(
        (document.published for document in documents if document.published), default=date.min
    )
    created = datetime.combine(arguments.created or newest, datetime.min.time(), UTC)
    snapshot = make_snapshot(interests, created)
    folder = save_snapshot(snapshot, arguments.out)
    print(f"{len(interests):,} interests from {len(documents):,} documents -> {folder}")


if __name__ == "__main__":
    main()
