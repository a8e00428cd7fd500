"""How long a refresh still takes: the present stage by its own pace, the later ones as last time.

Pure arithmetic on a clock that is handed in.
"""

from collections.abc import Mapping

from inkling_server.interests.stages import Stage
from inkling_server.refresh.operation import Progress

_ORDER = list(Stage)
# Below this share of a stage its pace says nothing yet.
_LEAST_SHARE = 0.02


class Eta:
    """Follows one refresh.

    Args:
        expected_s: how long stages took the last time; empty: never ran.
        now_s: a monotonic clock's time at the start.
    """

    def __init__(self, expected_s: Mapping[Stage, float], now_s: float) -> None:
        self._expected_s = expected_s
        self._stage = Stage.LOADING
        self._since_s = now_s
        self.stage_s: dict[Stage, float] = {}

    def update(self, stage: Stage, done: int, total: int, now_s: float) -> Progress:
        """Notes where the refresh is; returns it with what is left."""
        if stage is not self._stage:
            self.stage_s[self._stage] = round(now_s - self._since_s, 3)
            self._stage, self._since_s = stage, now_s
        return Progress(stage, done, total, self._remaining_s(done, total, now_s))

    def _remaining_s(self, done: int, total: int, now_s: float) -> float | None:
        spent_s = now_s - self._since_s
        expected_s = self._expected_s.get(self._stage)
        if total > 0 and done >= _LEAST_SHARE * total:
            present_s = max(spent_s * (total - done) / done, 0.0)
        elif expected_s is not None:
            present_s = max(expected_s - spent_s, 0.0)
        else:
            return None
        later = _ORDER[_ORDER.index(self._stage) + 1 :]
        return present_s + sum(self._expected_s.get(stage, 0.0) for stage in later)
