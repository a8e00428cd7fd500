"""Operations of several kinds as one, and the turn that their owners share."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from inkling_server.errors import RefreshRunning, RolloutRunning, UnknownOperation
from inkling_server.operations import JoinedOperations, Operation
from inkling_server.turn import Turn

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass(frozen=True)
class Named:
    """An operation and nothing else."""

    name: str
    minute: int = 0
    is_done: bool = True

    @property
    def create_time(self) -> datetime:
        return NOW + timedelta(minutes=self.minute)


@dataclass
class Kind:
    """The operations of one kind, and what was done to them."""

    entries: list[Named]
    done: list[str] = field(default_factory=list)

    def get(self, name: str) -> Operation:
        found = [entry for entry in self.entries if entry.name == name]
        if not found:
            raise UnknownOperation
        return found[0]

    def list(self) -> "list[Named]":
        return self.entries

    async def wait(self, name: str, timeout_s: float | None) -> Operation:
        self.done.append(f"wait {name} {timeout_s}")
        return self.get(name)

    async def cancel(self, name: str) -> None:
        self.done.append(f"cancel {name}")

    def delete(self, name: str) -> None:
        self.done.append(f"delete {name}")


REFRESH = Named("operations/refresh-1", 1)
ROLLOUTS = [Named("operations/rollout-1", 0), Named("operations/rollout-2", 2)]


async def test_each_kind_gets_its_own_and_all_are_listed_newest_first() -> None:
    refreshes, rollouts = Kind([REFRESH]), Kind(ROLLOUTS)
    joined = JoinedOperations({"refresh": refreshes, "rollout": rollouts})
    assert [o.name for o in joined.list()] == [ROLLOUTS[1].name, REFRESH.name, ROLLOUTS[0].name]
    assert joined.get(REFRESH.name) is REFRESH
    assert await joined.wait(ROLLOUTS[0].name, 1.5) is ROLLOUTS[0]
    await joined.cancel(ROLLOUTS[1].name)
    joined.delete(REFRESH.name)
    assert rollouts.done == [f"wait {ROLLOUTS[0].name} 1.5", f"cancel {ROLLOUTS[1].name}"]
    assert refreshes.done == [f"delete {REFRESH.name}"]


@pytest.mark.parametrize(
    "name", ["", "operations/", "operations/refresh-9", "operations/brewing-1", "refresh-1"]
)
def test_name_of_nothing_is_unknown(name: str) -> None:
    joined = JoinedOperations({"refresh": Kind([REFRESH])})
    with pytest.raises(UnknownOperation):
        joined.get(name)


async def test_turn_is_one_holders_and_says_whose() -> None:
    turn = Turn()
    await turn.take(lambda: RefreshRunning("operations/refresh-1"))
    with pytest.raises(RefreshRunning):
        await turn.take(lambda: RolloutRunning("x"))
    assert turn.is_taken()
    turn.release()
    assert not turn.is_taken()
    await turn.take(lambda: RolloutRunning("operations/rollout-1"))
    with pytest.raises(RolloutRunning, match="rollout-1"):
        await turn.take(lambda: RefreshRunning("y"))
