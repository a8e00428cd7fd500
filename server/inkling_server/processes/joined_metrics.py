"""One page of metrics for several processes: each sample says whose it is.

    owner's registry ─────────────► process="0" ─┐
    follower's registry ─► JSON ──► process="1" ─┴─► families joined by name ─► the page

Prometheus adds up by itself: `sum without (process) (rate(inkling_pictures_total[1m]))`. Nothing is
added up here, where a gauge such as a version or an age would become nonsense.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

LABEL = "process"


def families_to_json(families: Iterable[Metric]) -> list[dict[str, Any]]:
    """Plain values of what one process counts."""
    return [
        {
            "name": family.name,
            "what": family.documentation,
            "kind": family.type,
            "samples": [
                [sample.name, dict(sample.labels), sample.value] for sample in family.samples
            ],
        }
        for family in families
    ]


def families_from_json(values: Any) -> list[Metric]:
    """What one process counts, from plain values. Raises ValueError."""
    try:
        families = []
        for value in values:
            family = Metric(value["name"], value["what"], value["kind"])
            family.samples = [
                Sample(str(name), {str(k): str(v) for k, v in labels.items()}, float(number))
                for name, labels, number in value["samples"]
            ]
            families.append(family)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError("these are no metrics") from error
    return families


def render_joined(own: Iterable[Metric], others: Mapping[int, object]) -> bytes:
    """The page that Prometheus scrapes.

    Args:
        own: what this process counts; it has the number 0.
        others: what each of the others says that it counts, by number; nonsense is left out.
    """
    families_of = {0: own}
    for number, values in others.items():
        with suppress(ValueError):
            families_of[number] = families_from_json(values)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Joined(families_of))
    return generate_latest(registry)


class _Joined(Collector):
    """Families of several processes as one collector."""

    def __init__(self, families_of: Mapping[int, Iterable[Metric]]) -> None:
        self._families_of = families_of

    def collect(self) -> Iterable[Metric]:
        joined: dict[str, Metric] = {}
        for number, families in self._families_of.items():
            for family in families:
                whole = joined.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                whole.samples += [
                    sample._replace(labels={**sample.labels, LABEL: str(number)})
                    for sample in family.samples
                ]
        return joined.values()
