"""Kills a refresh, or the whole server, at random moments, and looks at what serves afterwards.

    new content ─► RefreshGraph ─► wait for a random moment ─► kill -9 ─► (start again) ─► compare

What must hold: the server serves a whole snapshot, with the same answers as before wherever it is
the version from before; nothing that was started lives on; and the next refresh works.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Literal

import psutil

from inkling_server.interests.corpus_state_files import STATE_FOLDER, load_state
from inkling_server.interests.snapshot import load_snapshot, read_manifest, verify_files
from inkling_server.interests.vectors import load_vectors
from tests.refresh_client import NEW_SUBJECTS, RefreshClient, same_answers
from tests.refresh_content import posts, write_posts
from tests.server_process import ServerProcess, command_line, wait_until

Victim = Literal["refresh process", "server"]
_POSTS = 25
_NEAR_THE_END = (0.85, 1.15)


@dataclass
class Kill:
    """One kill and what was seen afterwards.

    Attributes:
        after_s: from the start of the refresh to the kill.
        hit: something died that was still at work.
        outcome: "old version" or "new version": what serves afterwards.
        start_s: until the server served again; 0 where it was not killed.
        problems: what must not be; empty: all is well.
    """

    victim: Victim
    after_s: float
    hit: bool = False
    outcome: str = ""
    start_s: float = 0.0
    problems: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


class KillTrials:
    """Kills one server again and again; a context that ends it.

    Args:
        folder: for the server's data and content.
        flags: of the server.
        seed: of the moments.
    """

    def __init__(self, folder: Path, *flags: str, seed: int) -> None:
        self._random = Random(seed)
        self._folder = folder
        self._content = folder / "content"
        self._flags = (f"--content-dir={self._content}", *flags)
        self._subjects: Iterator[tuple[int, str]] = iter(
            (round_, subject) for round_ in range(1000) for subject in NEW_SUBJECTS
        )
        self.server = self._serve()
        self.refresh_s = 0.0
        self._late = True

    def _serve(self) -> ServerProcess:
        server = ServerProcess(self._folder / "data", *self._flags)
        try:
            server.wait_serving()
        except BaseException:
            server.kill()
            raise
        self._client = RefreshClient(server.channel)
        return server

    def measure(self) -> float:
        """One refresh without a kill; returns its seconds, within which the moments are drawn."""
        self._add_content()
        start = time.monotonic()
        self._client.refresh()
        self.refresh_s = time.monotonic() - start
        return self.refresh_s

    def run(self, victim: Victim) -> Kill:
        """One kill."""
        self._add_content()
        before = self._client.answers()
        # Every other moment is near the end: there a version gets its name and becomes current.
        self._late = not self._late
        first, last = _NEAR_THE_END if self._late else (0.0, 1.0)
        kill = Kill(victim, round(self._random.uniform(first, last) * self.refresh_s, 3))
        started = time.monotonic()
        name = self._client.start()
        left_s = kill.after_s - (time.monotonic() - started)
        if left_s > 0:
            time.sleep(left_s)
        problems = []
        if victim == "server":
            problems += self._kill_server(kill)
        else:
            problems += self._kill_process(kill, name)
        self._learn(kill, name)
        after = self._client.answers()
        old = next(iter(before.values()))[0]
        if after["coffee.png"][0] == old:
            kill.outcome = "old version"
            if not same_answers(before, after):
                problems.append("other answers by the same version")
        else:
            kill.outcome = "new version"
        problems += self._look_at_current(after["coffee.png"][0])
        kill.problems = tuple(problems)
        return kill

    def _learn(self, kill: Kill, name: str) -> None:
        """How long a refresh takes changes: the feed grows, and others use the machine."""
        if not kill.hit:
            self.refresh_s = self._client.duration_s(name)
        elif kill.after_s > self.refresh_s:
            self.refresh_s = kill.after_s

    def finish(self) -> tuple[str, ...]:
        """A last refresh without a kill; returns what is wrong."""
        self._add_content()
        response = self._client.refresh()
        problems = []
        if response.item_count < _POSTS:
            problems.append(f"the last refresh read {response.item_count} items only")
        if list(self._graphs.glob(".draft-*")):
            problems.append("drafts are left behind")
        return (*problems, *self._look_at_current(response.graph_version))

    @property
    def _graphs(self) -> Path:
        return self._folder / "data" / "graph"

    def _kill_process(self, kill: Kill, name: str) -> list[str]:
        with suppress(LookupError, psutil.NoSuchProcess):  # it has ended
            self.server.child("python", "inkling_server.refresh.worker").kill()
            kill.hit = True
        ended = self._client.wait(name)
        if kill.hit and not ended.HasField("error"):
            kill.hit = False  # it had said all it had to say
        if self.server.health() != "SERVING":
            return ["the server is not serving"]
        if ended.HasField("error") and "refresh process" not in ended.error.message:
            return [f"the refresh says {ended.error.message!r}"]
        return []

    def _kill_server(self, kill: Kill) -> list[str]:
        family = self.server.family()
        kill.hit = any("inkling_server.refresh.worker" in command_line(p) for p in family)
        self.server.process.kill()
        self.server.process.wait()
        self.server.channel.close()
        wait_until("every child is gone", lambda: not any(p.is_running() for p in family), 20)
        start = time.monotonic()
        self.server = self._serve()
        kill.start_s = round(time.monotonic() - start, 2)
        return []

    def _look_at_current(self, version: str) -> list[str]:
        """Whether what serves is whole on disk, in every part."""
        folder = self._graphs / version
        if not folder.is_dir():
            return [] if not (self._graphs / "current").exists() else ["the version is gone"]
        problems = []
        if (self._graphs / "current").read_text(encoding="utf-8").strip() != version:
            problems.append("another version is current than serves")
        manifest = read_manifest(folder)
        verify_files(folder, manifest, list(manifest["sha256"]))
        graph = load_snapshot(folder)
        if load_vectors(folder, len(graph.interests)) is None:
            problems.append("the version has no vectors")
        if any(name.startswith(STATE_FOLDER) for name in manifest["sha256"]):
            load_state(folder)
        return problems

    def _add_content(self) -> None:
        number, subject = next(self._subjects)
        items = posts(subject, _POSTS, seed=number, now=datetime.now(UTC))
        write_posts(self._content, "feed", items)

    def __enter__(self) -> "KillTrials":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__(None, None, None)
