"""`inkling content ingest`: a file of items and engagements, stored on a server.

    first pass    items        ──► IngestContent, one stream
    second pass   engagements  ──► RecordEngagements, in batches

An engagement is worth nothing without its item, so items go first, wherever they stand in the file.
Both passes may be done again: items are replaced, engagements recorded once.

This module does not know how lines are read (`cli_content_feed.py`) nor how they travel.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import grpc
import typer

from inkling_client.cli_connect import (
    DEFAULT_SERVER,
    EXIT_INTERRUPTED,
    EXIT_NO_SERVER,
    EXIT_SOME_FAILED,
    EXIT_USAGE,
    CaFileOption,
    JsonOption,
    ServerOption,
    TlsOption,
    connect,
    fail,
    hello,
)
from inkling_client.cli_content_feed import FeedFile
from inkling_client.cli_content_ingest_view import IngestCounts, IngestView, JsonView, PeopleView
from inkling_client.client import InklingClient
from inkling_client.content_calls import BATCH_SIZE
from inkling_client.content_results import IngestOutcome
from inkling_client.content_values import Engagement, IngestItem
from inkling_client.errors import DeadlineExceeded, InklingClientError, InvalidRequest, StorageDown


def ingest(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT.jsonl",
            help="Items and engagements, one JSON object a line; .gz is fine.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help='Where "picture" is looked for. (default: beside INPUT.jsonl)',
            exists=True,
            file_okay=False,
        ),
    ] = None,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Store content items, and what people did with them. Doing it again changes nothing.

    Exit codes: 0 all stored, 1 some lines failed (the others are stored), 2 wrong usage, 3 no
    server, or it was lost on the way, 130 Ctrl-C.
    """
    if not path.is_file():
        fail(EXIT_USAGE, "INPUT.jsonl is read twice: it must be a file, not a pipe")
    feed = FeedFile(path, images or path.parent)
    with connect(server, tls=tls, ca_file=ca_file) as client:
        hello(client, server)
        view: IngestView = JsonView() if json_lines else PeopleView()
        raise typer.Exit(_Ingest(client, feed, view).run())


class _Lost(Exception):
    """The server, or its database, is gone: what is left of the file is not sent."""


@dataclass(slots=True)
class _Ingest:
    """One run over a file."""

    client: InklingClient
    feed: FeedFile
    view: IngestView
    counts: IngestCounts = field(default_factory=IngestCounts)
    exit_code: int = 0

    def run(self) -> int:
        """Both passes and the summary; returns the exit code."""
        started_s = time.monotonic()
        try:
            with self.view.bar(self.feed.total_bytes):
                self._store_items()
                self._record_engagements()
        except _Lost as lost:
            self.exit_code = EXIT_NO_SERVER
            self.view.stopped(str(lost))
        except KeyboardInterrupt:
            self.exit_code = EXIT_INTERRUPTED
            self.view.stopped("interrupted")
        except OSError as error:
            fail(EXIT_USAGE, f"INPUT.jsonl: {error.strerror}")
        self.view.summary(self.counts, time.monotonic() - started_s)
        if not (self.exit_code or self.counts.line_count):
            fail(EXIT_USAGE, "there is neither an item nor an engagement in INPUT.jsonl")
        return self.exit_code or (EXIT_SOME_FAILED if self.counts.failed_count else 0)

    # -- first pass ------------------------------------------------------------------------------

    def _store_items(self) -> None:
        # Ids need not be unique in a file, so that an item is known by itself.
        numbers: dict[int, int] = {}
        bad: list[tuple[int, InvalidRequest]] = []
        with closing(self.client.content.ingest(self._items(numbers, bad))) as outcomes:
            for item, outcome in outcomes:
                self._say_bad(bad)
                self._add(numbers.pop(id(item)), item, outcome)
        self._say_bad(bad)

    def _items(
        self, numbers: dict[int, int], bad: list[tuple[int, InvalidRequest]]
    ) -> Iterator[IngestItem]:
        """The file's items; runs in the stream's own thread, and so only takes notes."""
        for line in self.feed.lines():
            self.counts.line_count += 1
            if isinstance(line.value, IngestItem):
                numbers[id(line.value)] = line.number
                yield line.value
            elif isinstance(line.value, Engagement):
                self.counts.engagement_count += 1
            else:
                bad.append((line.number, line.value))

    def _say_bad(self, bad: list[tuple[int, InvalidRequest]]) -> None:
        while bad:
            number, error = bad.pop(0)
            self._fail(number, error)

    def _add(self, number: int, item: IngestItem, outcome: IngestOutcome) -> None:
        if isinstance(outcome, InklingClientError):
            if _is_lost(outcome):
                raise _Lost(outcome.message)
            self._fail(number, outcome, item.content_id)
        else:
            self.counts.add(outcome)
            self.view.stored(number, outcome)
        self.view.advance(self.feed.done_bytes, self.counts)

    # -- second pass -----------------------------------------------------------------------------

    def _record_engagements(self) -> None:
        if not self.counts.engagement_count:
            return
        self.view.next_bar(self.counts.engagement_count)
        lines = (line for line in self.feed.lines() if isinstance(line.value, Engagement))
        while batch := list(itertools.islice(lines, BATCH_SIZE)):
            numbers = [line.number for line in batch]
            engagements = [line.value for line in batch if isinstance(line.value, Engagement)]
            try:
                result = self.client.content.record(engagements)
            except InklingClientError as error:
                if _is_lost(error) or isinstance(error, DeadlineExceeded):
                    raise _Lost(error.message) from None
                for number in numbers:
                    self._fail(number, error)
                continue
            self.counts.recorded_count += result.recorded_count
            self.counts.duplicate_count += result.duplicate_count
            for entry in result.errors:
                self._fail(numbers[entry.index], entry.error)
            self.view.advance(len(batch), self.counts, more=True)

    def _fail(self, number: int, error: InklingClientError, content_id: str = "") -> None:
        self.counts.failed_count += 1
        self.view.failed(number, content_id, error)


def _is_lost(error: InklingClientError) -> bool:
    """Whether what comes after it cannot do better."""
    return (
        error.reason == "UNAVAILABLE"
        or isinstance(error, StorageDown)
        or error.code is grpc.StatusCode.UNIMPLEMENTED
    )
