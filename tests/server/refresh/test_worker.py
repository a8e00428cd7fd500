"""The real refresh process, with a fake encoder behind the gateway's end."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from inkling_server.encoders import Embeddings
from inkling_server.errors import EncoderDown, RefreshFailed
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.interests.corpus_state_files import STATE_FOLDER
from inkling_server.interests.snapshot import load_snapshot, save_snapshot
from inkling_server.interests.stages import Stage
from inkling_server.interests.vectors import load_vectors
from inkling_server.refresh.job import COMMAND, JobResult, run_job
from inkling_server.refresh.orders import RefreshOrders, to_json
from tests.own_processes import OwnChildren
from tests.refresh_content import posts, write_posts
from tests.server.gateway_kit import colour_graph
from tests.serving import until

FINGERPRINT = "f" * 32


class Refresh:
    """Orders for one refresh of the colour graph, and what came of it."""

    def __init__(self, folder: Path, encoder: FakeEncoder) -> None:
        self.encoder = encoder
        self.base = save_snapshot(colour_graph(), folder / "graph")
        self.content = folder / "content"
        self.log = folder / "refresh.log"
        self.orders = RefreshOrders(
            root=folder / "graph",
            base=self.base,
            feed=self.content,
            force=False,
            now=datetime.now(UTC),
            embedder="text_encoder",
            fingerprint=FINGERPRINT,
            dimension=encoder.manifest.dimension,
            nice=3,
        )
        self.stages: list[Stage] = []
        self.asked: list[str] = []

    def on_progress(self, stage: Stage, done: int, total: int) -> None:
        assert done >= 0
        assert total >= 0
        if not self.stages or self.stages[-1] is not stage:
            self.stages.append(stage)

    async def encode(self, phrases: Sequence[str]) -> Embeddings:
        self.asked += phrases
        return await self.encoder.encode_texts(phrases, timeout_s=5)

    async def run(self, *, command: Sequence[str] = COMMAND, **changes: Any) -> JobResult:
        self.stages, self.asked = [], []
        async with asyncio.timeout(100):
            return await run_job(
                replace(self.orders, **changes),
                encode=self.encode,
                on_progress=self.on_progress,
                log=self.log,
                command=command,
            )

    @property
    def drafts(self) -> list[Path]:
        return list((self.base.parent).glob(".draft-*"))


@pytest.fixture
async def refresh(tmp_path: Path) -> Refresh:
    return Refresh(tmp_path, FakeEncoder())


async def test_new_content_becomes_a_draft_and_the_next_refresh_goes_on_from_there(
    refresh: Refresh,
) -> None:
    write_posts(refresh.content, "feed", posts("vintage motorcycle", 20, seed=1))
    result = await refresh.run()
    assert result.draft is not None
    assert result.draft.name.startswith(".draft-")
    graph = load_snapshot(result.draft)
    phrases = {interest.phrase for interest in graph.interests}
    assert phrases >= {i.phrase for i in colour_graph().interests} | {"vintage motorcycle"}
    assert result.counts["item_count"] == 20
    assert result.added_count == len(graph.interests) - len(colour_graph().interests)
    vectors = load_vectors(result.draft, len(graph.interests))
    assert vectors is not None
    assert vectors.fingerprint == FINGERPRINT
    expected_ND = await refresh.encoder.encode_texts(
        [i.phrase for i in graph.interests], timeout_s=5
    )
    assert abs(vectors.embeddings_ND - expected_ND).max() < 1e-6
    assert refresh.stages == sorted(refresh.stages, key=list(Stage).index)
    assert {Stage.LOADING, Stage.READING, Stage.EMBEDDING, Stage.WRITING} <= set(refresh.stages)

    base = result.draft.rename(refresh.base.parent / graph.version)
    again = await refresh.run(base=base)
    assert again == JobResult(None, again.counts)
    assert again.counts["item_count"] == 0

    write_posts(refresh.content, "feed", posts("magenta kite", 20, seed=2))
    third = await refresh.run(base=base)
    assert third.draft is not None
    assert third.counts["item_count"] == 20
    newer = {interest.phrase for interest in load_snapshot(third.draft).interests}
    assert newer >= {"vintage motorcycle", "magenta kite"}
    assert "vintage motorcycle" not in refresh.asked  # only what is new is embedded
    assert "magenta kite" in refresh.asked


async def test_no_content_is_nothing_new_unless_it_is_forced(refresh: Refresh) -> None:
    assert (await refresh.run()).draft is None
    forced = await refresh.run(force=True)
    assert forced.draft is not None
    assert {i.id for i in load_snapshot(forced.draft).interests} == {
        i.id for i in colour_graph().interests
    }


@pytest.mark.parametrize("name", ["manifest.json", "interests.parquet"])
async def test_damaged_base_is_a_failure_that_names_it(refresh: Refresh, name: str) -> None:
    (refresh.base / name).write_bytes(b"damaged")
    with pytest.raises(RefreshFailed, match=refresh.base.name):
        await refresh.run(force=True)
    assert refresh.drafts == []


async def test_damaged_state_is_a_failure_that_names_the_version(refresh: Refresh) -> None:
    result = await refresh.run(force=True)
    assert result.draft is not None
    base = result.draft.rename(refresh.base.parent / load_snapshot(result.draft).version)
    state_files = [p for p in (base / STATE_FOLDER).iterdir() if p.is_file()]
    for path in state_files:
        whole = path.read_bytes()
        path.write_bytes(b"damaged")
        with pytest.raises(RefreshFailed, match=f"{base.name}.*{path.name}"):
            await refresh.run(base=base, force=True)
        path.write_bytes(whole)
    assert refresh.drafts == []


async def test_encoder_that_is_down_fails_the_refresh(refresh: Refresh) -> None:
    refresh.encoder.failure = EncoderDown("no answer within 10 s")
    with pytest.raises(RefreshFailed, match="no answer within 10 s"):
        await refresh.run(force=True)
    assert refresh.drafts == []


async def test_folder_that_cannot_be_written_is_named_by_its_problem_only(
    refresh: Refresh, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefreshFailed, match="a file cannot be used: ") as caught:
        await refresh.run(force=True, root=tmp_path / "file")
    assert str(tmp_path) not in str(caught.value)


async def test_cancelled_while_it_works_leaves_no_process(
    refresh: Refresh, own_children: OwnChildren
) -> None:
    refresh.encoder.gate.clear()
    task = asyncio.create_task(refresh.run(force=True))
    await until(lambda: refresh.asked, 60)
    (process,) = own_children()
    assert process.nice() >= 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not process.is_running()


# Starts the refresh process on a socket that its own parent holds, and waits to be killed.
BETWEEN = """
import subprocess, sys
connection = int(sys.argv[1])
worker = subprocess.Popen(sys.argv[2:], stdin=connection, stdout=connection)
print(worker.pid, flush=True)
worker.wait()
"""


@pytest.fixture
def orphanage() -> Iterator[tuple["subprocess.Popen[bytes]", psutil.Process, socket.socket]]:
    """A process that has started a refresh process; and the socket that the latter talks over."""
    ours, theirs = socket.socketpair()
    with (
        ours,
        subprocess.Popen(
            [sys.executable, "-S", "-c", BETWEEN, str(theirs.fileno()), *COMMAND],
            pass_fds=[theirs.fileno()],
            stdout=subprocess.PIPE,
        ) as between,
    ):
        theirs.close()
        assert between.stdout is not None
        worker = psutil.Process(int(between.stdout.readline()))
        try:
            yield between, worker, ours
        finally:
            between.kill()
            if worker.is_running():
                worker.kill()


async def gone(worker: psutil.Process, timeout_s: float) -> None:
    def is_gone() -> bool:
        try:
            return worker.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await until(is_gone, timeout_s)


async def test_ends_within_a_second_when_its_parent_is_killed(
    refresh: Refresh,
    orphanage: tuple["subprocess.Popen[bytes]", psutil.Process, socket.socket],
) -> None:
    between, worker, connection = orphanage
    line = {"type": "orders", "orders": to_json(replace(refresh.orders, force=True)), "bytes": 0}
    connection.sendall(json.dumps(line).encode() + b"\n")
    with connection.makefile("rb") as reader:
        while json.loads(reader.readline())["type"] != "embed":
            pass
        # It waits for an answer over a socket that stays open: only the kernel can tell it.
        between.kill()
        await gone(worker, 1.0)


async def test_ends_when_its_parent_is_killed_before_it_could_ask_for_the_signal(
    refresh: Refresh,
    orphanage: tuple["subprocess.Popen[bytes]", psutil.Process, socket.socket],
) -> None:
    between, worker, connection = orphanage
    between.kill()
    connection.close()
    await gone(worker, 30)
    assert refresh.drafts == []


async def test_nonsense_instead_of_orders_ends_it(
    orphanage: tuple["subprocess.Popen[bytes]", psutil.Process, socket.socket],
) -> None:
    _, worker, connection = orphanage
    connection.sendall(b"hello\n")
    await gone(worker, 30)


def autogroup_nice(pid: int) -> str:
    """As the kernel says it; empty where it has no autogroups."""
    path = Path(f"/proc/{pid}/autogroup")
    return path.read_text(encoding="ascii").split()[-1] if path.exists() else ""


async def test_has_a_session_of_its_own_that_is_as_nice_as_it_is(
    refresh: Refresh, own_children: OwnChildren
) -> None:
    refresh.encoder.gate.clear()
    task = asyncio.create_task(refresh.run(force=True))
    await until(lambda: refresh.asked, 60)
    (process,) = own_children()
    # So Ctrl-C in a terminal does not reach it.
    assert os.getsid(process.pid) == process.pid
    assert process.nice() >= 3
    assert autogroup_nice(process.pid) in {"3", ""}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_libraries_print_does_not_get_into_the_pipe(refresh: Refresh) -> None:
    script = """
import os, sys
from inkling_server.refresh import worker
original = worker.build_graph
def loud(*arguments, **named):
    print("from Python")
    os.write(1, b"from C\\n")
    return original(*arguments, **named)
worker.build_graph = loud
sys.exit(worker.main())
"""
    result = await refresh.run(force=True, command=(sys.executable, "-c", script))
    assert result.draft is not None
    said = refresh.log.read_text(encoding="utf-8")
    assert "from Python" in said
    assert "from C" in said
