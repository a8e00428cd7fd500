"""What every process that tags is asked at each scrape; the same names in all of them."""

from collections.abc import Callable

from inkling_server.settings import Settings
from inkling_server.tagging import Tagger
from inkling_server.telemetry import Metrics


def watch_tagging(
    metrics: Metrics, settings: Settings, tagger: Callable[[], Tagger | None]
) -> None:
    """Adds the gauges.

    Args:
        metrics: of the process.
        settings: its limits.
        tagger: None while there is none yet.
    """

    def of_tagger(read: Callable[[Tagger], float]) -> Callable[[], float]:
        def value() -> float:
            current = tagger()
            return 0.0 if current is None else read(current)

        return value

    metrics.watch(
        "inkling_pictures_under_way",
        "Pictures between admission and answer.",
        of_tagger(lambda tagger: tagger.used),
    )
    metrics.watch(
        "inkling_queue_depth",
        "Decoded pictures that wait for a batch.",
        of_tagger(lambda tagger: tagger.queue_depth),
    )
    metrics.watch(
        "inkling_max_queue_count",
        "Pictures that may be under way before the process is full.",
        lambda: settings.max_queue_count,
    )
