"""Which phrases of a corpus become interests, and which identity they keep.

    records ─► one group for each meaning ─► fit to be an interest? ─► names of their own ─► Chosen
    previous interests ─► keep their ids ──────────┘

A phrase is let in by `quality`, by enough documents, and where it does not mostly stand inside one
longer phrase ("york"). Whoever is in stays in for less: nodes do not flicker from one version to
the next. It is a pure function of its arguments; it knows no documents, topics or edges.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from inkling_server.interests.graph import Interest, interest_id
from inkling_server.interests.naming import (
    Writing,
    aliases,
    meaning_key,
    name_key,
    phrase_key,
)
from inkling_server.interests.phrases.candidates import Key
from inkling_server.interests.phrases.corpus import PhraseRecord
from inkling_server.interests.quality import (
    Associations,
    QualityJudge,
    QualitySettings,
    may_be_surname,
)

_SURNAME_INSIDE = 0.25


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """When a phrase becomes an interest.

    Attributes:
        min_documents: documents that name a phrase before it becomes an interest. Also a privacy
            floor: what only a few people said is never shown.
        max_interests: the graph's size at most, pinned ones and those that are in already first.
        blocked: words whose phrases never become interests, lower case; those that are in leave,
            unless they are pinned.
        min_standing_alone: of a phrase's occurrences, the share outside longer phrases.
        max_inside: documents of one longer phrase for each document of the phrase alone, from which
            the phrase is only a part of it.
        quality: see there.
    """

    min_documents: int = 5
    max_interests: int = 20_000
    blocked: frozenset[str] = frozenset()
    min_standing_alone: float = 0.4
    max_inside: float = 1.5
    quality: QualitySettings = field(default_factory=QualitySettings)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A phrase that is an interest.

    Attributes:
        interest_id: kept from the previous version, or made of the phrase.
        phrase: what a person reads.
        aliases: other names of it; no two interests share a name.
        keys: of the records that mean it, its own first; none where a pinned interest is in no
            record.
        document_count: documents that name it.
        pinned: wanted in every version.
        extractors: that found it, sorted.
        first_seen, last_seen: of its documents, where they say.
    """

    interest_id: str
    phrase: str
    aliases: tuple[str, ...]
    keys: tuple[Key, ...]
    document_count: int
    pinned: bool
    extractors: tuple[str, ...]
    first_seen: datetime | None
    last_seen: datetime | None


def _never(_: PhraseRecord) -> bool:
    return False


def choose_interests(
    records: Mapping[Key, PhraseRecord],
    previous: Sequence[Interest],
    settings: SelectionSettings | None = None,
    *,
    is_retired: Callable[[PhraseRecord], bool] = _never,
) -> list[Chosen]:
    """Chooses the interests of the next version, sorted by id.

    Args:
        records: of the whole corpus.
        previous: interests of the version before. Pinned ones stay as they are; others stay while
            a record holds them that is not retired.
        settings: when a phrase is let in.
        is_retired: whether a phrase was not seen for so long that it leaves.
    """
    settings = settings or SelectionSettings()
    groups = _by_meaning(records.values(), settings.min_documents, previous)
    quality = replace(settings.quality, blocked=settings.quality.blocked | settings.blocked)
    judge = QualityJudge(Associations(records.values()), quality)
    names = _Names(previous)
    writing = Writing(records.values())
    kept: dict[str, list[PhraseRecord]] = {interest.id: [] for interest in previous}
    fresh = []
    inside = _most_inside(records.values())
    for meaning, group in groups.items():
        owner = names.owner(meaning)
        if owner is not None:
            kept[owner].extend(group)
        elif _is_new(group, judge, inside, settings, is_retired):
            fresh.append(group)
    chosen = []
    for interest in previous:
        stays = [r for r in kept[interest.id] if not is_retired(r) and not judge.is_blocked(r)]
        if interest.pinned or stays:
            group = kept[interest.id] if interest.pinned else stays
            chosen.append(_kept(interest, group, names, writing))
    fresh.sort(key=lambda group: (-_documents(group), group[0].key))
    for group in fresh:
        if len(chosen) >= settings.max_interests:
            break
        made = _made(group, names, writing)
        if made is not None:
            chosen.append(made)
    return sorted(chosen, key=lambda interest: interest.interest_id)


class _Names:
    """Who is called what: a name belongs to one interest."""

    def __init__(self, previous: Sequence[Interest]) -> None:
        self._owners: dict[str, str] = {}
        self._meanings: dict[str, str] = {}
        self._ids = {interest.id for interest in previous}
        # Phrases before aliases: an alias never takes another's phrase. Pinned before others.
        ordered = sorted(previous, key=lambda interest: not interest.pinned)
        for interest in ordered:
            self._own(interest.phrase, interest.id)
        for interest in ordered:
            for alias in interest.aliases:
                self._own(alias, interest.id)

    def owner(self, meaning: str) -> str | None:
        """Id of the previous interest that the meaning belongs to."""
        return self._meanings.get(meaning) or self._owners.get(meaning)

    def take(self, name: str, owner: str) -> bool:
        """Makes it the owner's name; False: it is another's."""
        return self._owners.setdefault(name_key(name), owner) == owner

    def is_free(self, name: str) -> bool:
        """Whether nobody is called so."""
        return name_key(name) not in self._owners

    def new_id(self, phrase: str) -> str:
        """An id that no interest of this or the previous version has."""
        base = found = interest_id(phrase)
        number = 2
        while found in self._ids:
            found = f"{base}-{number}"
            number += 1
        self._ids.add(found)
        return found

    def _own(self, name: str, owner: str) -> None:
        self._owners.setdefault(name_key(name), owner)
        self._meanings.setdefault(meaning_key(phrase_key(name)), owner)


def _by_meaning(
    records: Iterable[PhraseRecord], min_documents: int, previous: Sequence[Interest]
) -> dict[str, list[PhraseRecord]]:
    """Records that mean the same, the one that people write most first; only meanings that are
    frequent or known.
    """
    known = {
        meaning_key(phrase_key(name))
        for interest in previous
        for name in (interest.phrase, *interest.aliases)
    }
    groups: defaultdict[str, list[PhraseRecord]] = defaultdict(list)
    for record in records:
        groups[meaning_key(record.key)].append(record)
    return {
        meaning: sorted(group, key=lambda record: (-record.document_count, record.key))
        for meaning, group in groups.items()
        if meaning in known or _documents(group) >= min_documents
    }


def _most_inside(records: Iterable[PhraseRecord]) -> Counter[Key]:
    """For each phrase, the documents of the most frequent longer phrase that holds it."""
    most: Counter[Key] = Counter()
    for record in records:
        length = len(record.key)
        for size in range(1, length):
            for start in range(length - size + 1):
                part = record.key[start : start + size]
                most[part] = max(most[part], record.document_count)
    return most


def _is_new(
    group: list[PhraseRecord],
    judge: QualityJudge,
    inside: Counter[Key],
    settings: SelectionSettings,
    is_retired: Callable[[PhraseRecord], bool],
) -> bool:
    """Whether the group becomes an interest; brings the record that names it to the front."""
    if any(judge.is_blocked(record) for record in group):
        return False
    fit = [
        record
        for record in group
        if judge.is_interest(record)
        and not is_retired(record)
        and record.whole_count >= settings.min_standing_alone * record.count
        and inside[record.key] <= _most_allowed(record, settings)
    ]
    if not fit:
        return False
    group.remove(fit[0])
    group.insert(0, fit[0])
    return True


def _most_allowed(record: PhraseRecord, settings: SelectionSettings) -> float:
    # A lone surname is mostly the rest of a whole name.
    share = _SURNAME_INSIDE if may_be_surname(record) else settings.max_inside
    return share * record.document_count


def _kept(interest: Interest, group: list[PhraseRecord], names: _Names, writing: Writing) -> Chosen:
    """A previous interest with what the records now say of it."""
    phrase = interest.phrase
    if group and not interest.pinned:
        newer = writing.display_form(max(group, key=lambda record: record.document_count))
        # Capitals alone are no news: a graph's own records do not tell where sentences begin.
        if newer.casefold() != phrase.casefold() and names.take(newer, interest.id):
            phrase = newer
    forms = (*interest.aliases, *([interest.phrase] if phrase != interest.phrase else ()))
    found = aliases(group, phrase) if group else ()
    count = _documents(group) if group else interest.count
    return Chosen(
        interest.id,
        phrase,
        _own_names((*forms, *found), phrase, interest.id, names),
        tuple(record.key for record in _own_first(group, phrase)),
        max(count, interest.count) if interest.pinned else count,
        interest.pinned,
        tuple(sorted({*interest.extractors, *_extractors(group)})),
        _earliest([interest.first_seen, *(record.first_seen for record in group)]),
        _latest([interest.last_seen, *(record.last_seen for record in group)]),
    )


def _made(group: list[PhraseRecord], names: _Names, writing: Writing) -> Chosen | None:
    """A new interest, or None where its name is another's."""
    phrase = writing.display_form(group[0])
    if not names.is_free(phrase):
        return None
    chosen_id = names.new_id(phrase)
    names.take(phrase, chosen_id)
    return Chosen(
        chosen_id,
        phrase,
        _own_names(aliases(group, phrase), phrase, chosen_id, names),
        tuple(record.key for record in group),
        _documents(group),
        False,
        _extractors(group),
        _earliest(record.first_seen for record in group),
        _latest(record.last_seen for record in group),
    )


def _own_names(
    candidates: Iterable[str], phrase: str, owner: str, names: _Names
) -> tuple[str, ...]:
    """Each name once, that no other interest has."""
    own: dict[str, None] = {}
    for name in candidates:
        if name.casefold() != phrase.casefold() and names.take(name, owner):
            own.setdefault(name)
    return tuple(sorted(own))


def _own_first(group: list[PhraseRecord], phrase: str) -> list[PhraseRecord]:
    own = phrase_key(phrase)
    return sorted(group, key=lambda record: (record.key != own, -record.document_count, record.key))


def _documents(group: Iterable[PhraseRecord]) -> int:
    return sum(record.document_count for record in group)


def _extractors(group: Iterable[PhraseRecord]) -> tuple[str, ...]:
    return tuple(sorted({name for record in group for name in record.extractors}))


def _earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((time for time in times if time is not None), default=None)
