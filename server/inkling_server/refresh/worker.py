"""The refresh process: `python -m inkling_server.refresh.worker`, started by the gateway only.

    orders ─► load state ─► forget the erased ─► read the feeds ─► build ─► draft ─► say where it is

It has its own process so that hours of text never hold up a picture: it is nicer than the gateway,
uses one core, and goes at once when the gateway goes (the kernel sees to that). It publishes
nothing: a draft that is never published is deleted by the next refresh.

It speaks with the gateway over its standard input and output (`pipe`); what libraries print goes to
standard error. Nothing here knows gRPC, Triton or the index.
"""

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inkling_server.child_process import end_with_parent
from inkling_server.errors import StorageDown
from inkling_server.interests.build import Built, build_graph
from inkling_server.interests.corpus_state import CorpusState, StoredKeys, key_of
from inkling_server.interests.corpus_state_files import (
    STATE_FOLDER,
    load_state,
    load_stored_keys,
    load_watermark,
    save_state,
)
from inkling_server.interests.embedders.base import Embedder, EmbedderUnusable
from inkling_server.interests.embedders.open import open_embedder
from inkling_server.interests.embedders.serving import EncoderEmbedder
from inkling_server.interests.embedders.spec import check_spec
from inkling_server.interests.feed import FolderFeed
from inkling_server.interests.feeds import JoinedReader, Reader
from inkling_server.interests.mining import MiningCounts, mine
from inkling_server.interests.snapshot import (
    SnapshotDamaged,
    load_snapshot,
    read_manifest,
    verify_files,
    write_draft,
)
from inkling_server.interests.stages import Stage
from inkling_server.interests.vectors import load_vectors, save_vectors
from inkling_server.refresh.database_feed import (
    DatabaseReader,
    Unread,
    database_mark,
    gone,
)
from inkling_server.refresh.orders import RefreshOrders, from_json
from inkling_server.refresh.pipe import Message, PipeBroken, ProcessPipe
from inkling_server.storage.database import StatementFailed
from inkling_server.storage.feed import open_feed

# More messages a second than this would only cost the gateway time.
_TELL_EVERY_S = 0.1
_TRAINED = ("word2vec", "fasttext")


def main() -> int:
    """Carries out one refresh; returns the exit code."""
    end_with_parent()
    # A corpus's state is millions of objects without cycles. The collector would go through them
    # again and again, for a third of the time and nothing to collect.
    gc.disable()
    # Standard output is the pipe: whatever else prints must not get into it.
    writer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    pipe = ProcessPipe(sys.stdin.buffer, writer)
    try:
        message, _ = pipe.receive()
        orders = from_json(message["orders"])
        pipe.send(_carry_out(_Refresh(pipe, orders)))
    except PipeBroken:
        return 1
    return 0


def _carry_out(refresh: "_Refresh") -> Message:
    try:
        return refresh.run()
    except (EmbedderUnusable, SnapshotDamaged, StorageDown, StatementFailed) as error:
        return {"type": "failed", "problem": str(error)}
    except pa.ArrowException:
        return {"type": "failed", "problem": "the state of the version to build on is damaged"}
    except OSError as error:
        # Without the file's name: who asks over the network need not know our folders.
        return {"type": "failed", "problem": f"a file cannot be used: {error.strerror}"}


class _Refresh:
    """One refresh.

    Args:
        pipe: to the gateway.
        orders: what to do.
    """

    def __init__(self, pipe: ProcessPipe, orders: RefreshOrders) -> None:
        self._pipe = pipe
        self._orders = orders
        self._stage: Stage | None = None
        self._told = 0.0

    def run(self) -> Message:
        """Does it all; returns the last message."""
        orders = self._orders
        self._tell(Stage.LOADING, 0, 1)
        has_state = bool(_verified_state_files(orders.base))
        watermark = load_watermark(orders.base) if has_state else {}
        folder = FolderFeed(orders.feed).open(watermark)
        if orders.database_url is None:
            return self._read([folder, Unread(watermark)], StoredKeys(), has_state=has_state)
        with open_feed(orders.database_url, database_mark(watermark)) as rows:
            erased = gone(rows, *load_stored_keys(orders.base)) if has_state else StoredKeys()
            return self._read([folder, DatabaseReader(rows)], erased, has_state=has_state)

    def _read(self, feeds: Sequence[Reader], erased: StoredKeys, *, has_state: bool) -> Message:
        orders = self._orders
        reader = JoinedReader(feeds)
        if reader.total_bytes == 0 and not erased and not orders.force:
            return {"type": "unchanged", "counts": asdict(MiningCounts())}
        base = load_snapshot(orders.base)
        vectors = load_vectors(orders.base, len(base.interests))
        state = load_state(orders.base) if has_state else CorpusState.of_graph(base)
        state.forget(erased)
        counts = mine(
            reader,
            state,
            text=orders.text,
            read_time=orders.now,
            max_records=orders.max_records,
            on_progress=lambda done, total: self._tell(Stage.READING, done, total),
        )
        built = build_graph(
            state,
            base,
            vectors,
            self._embedder(state),
            settings=orders.build,
            created_time=orders.now,
            on_progress=self._tell,
        )
        return self._write(state, built, counts)

    def _write(self, state: CorpusState, built: Built, counts: MiningCounts) -> Message:
        self._tell(Stage.WRITING, 0, 1)

        def add_files(draft: Path) -> None:
            save_vectors(built.vectors, draft)
            save_state(state, draft)

        draft = write_draft(built.snapshot, self._orders.root, add_files)
        return {
            "type": "built",
            "draft": draft.name,
            "counts": asdict(counts),
            "added_count": built.added_count,
            "retired_count": built.retired_count,
        }

    def _embedder(self, state: CorpusState) -> Embedder:
        orders = self._orders
        serving = EncoderEmbedder(self._encode, orders.fingerprint, orders.dimension)
        kind = check_spec(orders.embedder).kind
        embedder = open_embedder(
            orders.embedder,
            text_encoder=serving,
            trained_folder=orders.root / f"embedder-{kind}",
            sentences=lambda: state.sample,
            phrases=[" ".join(key) for key, r in state.records.items() if r.document_count > 1],
        )
        return _Normalised(embedder) if kind in _TRAINED else embedder

    def _encode(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Asks the gateway, whose encoder also embeds the pictures."""
        self._pipe.send({"type": "embed", "phrases": list(phrases)})
        answer, body = self._pipe.receive()
        if answer["type"] != "embedded":
            raise EmbedderUnusable("text_encoder", str(answer.get("problem")), "a serving encoder")
        return np.frombuffer(body, np.float32).reshape(len(phrases), self._orders.dimension)

    def _tell(self, stage: Stage, done: int, total: int) -> None:
        now = monotonic()
        if stage is self._stage and now - self._told < _TELL_EVERY_S:
            return
        self._stage, self._told = stage, now
        self._pipe.send({"type": "progress", "stage": stage, "done": done, "total": total})


class _Normalised:
    """An embedder that was trained on normal forms of words, for phrases as people read them."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.fingerprint = embedder.fingerprint
        self.dimension = embedder.dimension

    def embed(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        return self._embedder.embed([" ".join(key_of(phrase)) for phrase in phrases])


def _verified_state_files(base: Path) -> list[str]:
    """The files of what the base remembers; none for a graph that came without."""
    manifest = read_manifest(base)
    names = [name for name in manifest["sha256"] if name.startswith(f"{STATE_FOLDER}/")]
    verify_files(base, manifest, names)
    return names


if __name__ == "__main__":
    sys.exit(main())
