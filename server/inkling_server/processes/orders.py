"""What the owner tells a follower, and what it hears back: values, and their JSON.

    orders    once, at the start
    follow    every half second, and after each swap: what the owner serves  -> a report
    metrics   when somebody looks                                            -> families

The settings among the orders hold secrets: they go through a socket and are never logged.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from inkling_server.settings import Settings

SOCKET = "owner.sock"


@dataclass(frozen=True, slots=True)
class Target:
    """What the owner serves.

    Attributes:
        model: version folder of the model repository.
        graph: version of the graph.
    """

    model: int
    graph: str


@dataclass(frozen=True, slots=True)
class Shared:
    """What one owner's followers have in common.

    Attributes:
        settings: the owner's.
        grpc_port: the one that all listen on.
        encoder_address: how the owner's encoders are reached.
        encoder_is_local: they run on this machine, so shared memory works.
        graph_root: folder of graph versions.
        shipped_graphs: folder of those that come with the server.
    """

    settings: Settings = field(repr=False)
    grpc_port: int
    encoder_address: str
    encoder_is_local: bool
    graph_root: Path
    shipped_graphs: Path


@dataclass(frozen=True, slots=True)
class Orders:
    """What a follower starts with.

    Attributes:
        number: 1 or more; names it in logs and metrics.
        shared: what it has in common with the others.
        target: what it serves first.
    """

    number: int
    shared: Shared
    target: Target


@dataclass(frozen=True, slots=True)
class Report:
    """How a follower is.

    Attributes:
        serving: it listens, and its canary gets its tags.
        problem: why it does not; "" while it does.
        target: what new pictures are tagged with; None: nothing yet.
        models: every model version that it may still use.
    """

    serving: bool
    problem: str
    target: Target | None
    models: tuple[int, ...]


_ORDERS = TypeAdapter(Orders)
_TARGET = TypeAdapter(Target)
_REPORT = TypeAdapter(Report)


def orders_to_json(orders: Orders) -> dict[str, Any]:
    """Plain values of orders."""
    values: dict[str, Any] = _ORDERS.dump_python(orders, mode="json")
    return values


def orders_from_json(values: object) -> Orders:
    """Orders of plain values. Raises ValueError."""
    return _ORDERS.validate_python(values)


def target_from_json(values: object) -> Target:
    """A target of plain values. Raises ValueError."""
    return _TARGET.validate_python(values)


def report_from_json(values: object) -> Report:
    """A report of plain values. Raises ValueError."""
    return _REPORT.validate_python(values)


def to_json(value: Target | Report) -> dict[str, Any]:
    """Plain values of a target or a report."""
    return asdict(value)
