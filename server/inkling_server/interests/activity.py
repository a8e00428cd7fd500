"""How an interest fares over time: what is said lately, what trends, what fades and retires.

The clock is content: a day counts when documents of it were read. An interest does not age while
nothing is posted, or while the server is off.

It knows phrases' records and days; not which phrases are interests, nor what came of it.

A day is the number of days since 1970-01-01, UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from inkling_server.interests.corpus_state import CorpusState
from inkling_server.interests.phrases.corpus import PhraseRecord
from inkling_server.interests.trends import Trend, TrendSettings, trends


@dataclass(frozen=True, slots=True)
class ActivitySettings:
    """How fast the graph forgets, and what it compares.

    Attributes:
        recent_days: length of the window in which something may trend.
        past_days: length of the window before it that it is held against; both together at most
            `phrases.corpus.RECENT_DAYS`.
        half_life_days: days with content after which an interest that nobody names counts half.
        retire_after_days: days with content after which it leaves the graph.
        trends: when something is trending.
    """

    recent_days: int = 7
    past_days: int = 56
    half_life_days: int = 90
    retire_after_days: int = 180
    trends: TrendSettings = field(default_factory=TrendSettings)


class Activity:
    """Answers for one state of a corpus, as of its newest document's day.

    Args:
        state: not changed, and not to be changed meanwhile.
        settings: windows and half-life.
    """

    def __init__(self, state: CorpusState, settings: ActivitySettings) -> None:
        self._settings = settings
        self._days = sorted(state.documents_by_day)
        newest = self._days[-1] if self._days else 0
        self._recent_from = newest - settings.recent_days  # exclusive
        self._past_from = self._recent_from - settings.past_days
        self._recent_total, self._past_total = self._split(state.phrases_by_day)
        # Days after a given one, looked up by every record: few distinct days, many records.
        self._unseen: dict[int, int] = {}

    def unseen_days(self, record: PhraseRecord) -> int:
        """Days with content since the phrase was last named."""
        last = record.last_day
        if last not in self._unseen:
            self._unseen[last] = sum(day > last for day in self._days)
        return self._unseen[last]

    def is_retired(self, record: PhraseRecord) -> bool:
        """Nobody has named it for so long that it leaves the graph."""
        return self.unseen_days(record) > self._settings.retire_after_days

    def faded(self, count: int, unseen_days: int) -> int:
        """What a count is worth when nobody has added to it for so long."""
        fade: float = 0.5 ** (unseen_days / self._settings.half_life_days)
        return round(count * fade)

    def trends(self, records: Mapping[str, list[PhraseRecord]]) -> dict[str, Trend[str]]:
        """Of each interest that was named lately: how its share changed.

        Args:
            records: by interest id, those that mean it. Someone who uses two spellings in one
                document counts twice: so rare that it does not matter.
        """
        recent: dict[str, int] = {}
        past: dict[str, int] = {}
        for name, own in records.items():
            counts = [self._split(record.days) for record in own]
            recent[name] = sum(count for count, _ in counts)
            past[name] = sum(count for _, count in counts)
        if self._past_total == 0:
            return {}  # nothing to hold it against: a first refresh knows no trends
        named = {name: count for name, count in recent.items() if count}
        found = trends(
            named,
            past,
            recent_total=max(self._recent_total, sum(named.values())),
            past_total=max(self._past_total, sum(past.values())),
            settings=self._settings.trends,
        )
        return {trend.key: trend for trend in found}

    def _split(self, days: Mapping[int, int]) -> tuple[int, int]:
        """Counts of the recent window and of the past before it."""
        recent = past = 0
        for day, count in days.items():
            if day > self._recent_from:
                recent += count
            elif day > self._past_from:
                past += count
        return recent, past
