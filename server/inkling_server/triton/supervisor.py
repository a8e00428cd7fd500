"""Keeps a Triton serving: starts our own and mends it, or watches one that runs elsewhere.

    starting ──► serving ◄──► repairing          stopped (by stop())

One task owns all that changes. Every second, and at once when someone notes a failure, it asks each
model, in the version that serves, for a real inference and mends what is broken by the smallest
step that helps:

    a model's Python stub died      unload and load that model (the others keep serving)
    a probe never ends              restart, unless other requests of the model do end: it is busy
    that did not help, or Triton    restart: at once, then after 0.5, 1, 2 ... 15 s
    itself is gone

The address stays the same through all of it, so that clients merely reconnect. Which version
serves, and which are beside it for a while: `versions`. This module knows no embeddings: `encoder`
uses what it keeps alive.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from inkling_server.errors import EncoderDown
from inkling_server.triton.client import TritonCallFailed, TritonClient
from inkling_server.triton.model_config import compile_models, read_config
from inkling_server.triton.models import TritonModels
from inkling_server.triton.process import (
    TritonPlan,
    TritonProcess,
    TritonStartFailed,
    make_plan,
    rotate_log,
)
from inkling_server.triton.versions import TritonVersions

TritonState = Literal["starting", "serving", "repairing", "stopped"]

MODELS = ("vision_encoder", "text_encoder")
_START_TIMEOUT_S = 60.0
_LONGEST_BACKOFF_S = 15.0
_STEADY_S = 60.0  # serving this long makes the next failure a new one, without backoff
_POLL_S = 0.05
_START_CALL_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class TritonServer:
    """One Triton, kept serving. Make it by `start` or `connect`; use it from one event loop.

    Attributes:
        address: gRPC target; never changes.
        metrics_address: host and port of Triton's Prometheus metrics; "" when it is not ours.
        local: it runs on this machine under our care, so shared memory works.
        versions: of the models; None where every version that is loaded is watched.
        state: see the module's docstring.
        on_state_change: called with each new state, in the event loop; must not block.
        watch_task: runs from the first "serving" to `stop`.
    """

    watch_task: asyncio.Task[None] | None = None

    def __init__(
        self,
        address: str,
        models: Sequence[str],
        plan: TritonPlan | None,
        *,
        version: int | None,
        may_unload: bool,
        check_interval_s: float,
        probe_timeout_s: float,
    ) -> None:
        self.address = address
        self.metrics_address = plan.metrics_address if plan else ""
        self.local = plan is not None
        self.state: TritonState = "starting"
        self.on_state_change: list[Callable[[TritonState], None]] = []
        self._plan = plan
        self._process: TritonProcess | None = None
        self._client = TritonClient(address)
        self._models = TritonModels(
            self._client,
            models,
            probe_timeout_s,
            read_config=_config_reader(plan) if plan else None,
            watched=version,
        )
        self.versions: TritonVersions | None = None
        if version is not None:
            self.versions = TritonVersions(self._models, ours=self.local, may_unload=may_unload)
        self._check_interval_s = check_interval_s
        self._wake = asyncio.Event()
        self._serving = asyncio.Event()
        self._serving_since_s = 0.0
        self._failed_repairs = 0

    @classmethod
    async def start(
        cls,
        model_repository: Path,
        data_dir: Path,
        *,
        models: Sequence[str] = MODELS,
        version: int | None = None,
        start_timeout_s: float = _START_TIMEOUT_S,
        check_interval_s: float = 1.0,
        probe_timeout_s: float = 5.0,
    ) -> Self:
        """Starts our own Triton on loopback; returns when every model has passed its self-test.

        Args:
            model_repository: as Triton reads it.
            data_dir: log, runtime caches and backend directory go to `triton/` in it. Supervisors
                that run side by side need different ones.
            models: the models to load and to watch.
            version: the only one to load at first; None: all that the configurations name.
            start_timeout_s: for the first start.
            check_interval_s: between probes of a healthy Triton.
            probe_timeout_s: a model that ends nothing at all for this long counts as hung; must be
                well above the time that one full batch takes.

        Raises:
            TritonNotInstalled, TritonStartFailed: with what to do, or the end of Triton's log.
        """
        at_once = models if version is None else ()
        plan = make_plan(model_repository, data_dir / "triton", at_once)
        server = cls(
            plan.address,
            models,
            plan,
            version=version,
            may_unload=True,
            check_interval_s=check_interval_s,
            probe_timeout_s=probe_timeout_s,
        )
        return await server._begin(server._launch(plan, start_timeout_s))

    @classmethod
    async def connect(
        cls,
        address: str,
        *,
        models: Sequence[str] = MODELS,
        version: int | None = None,
        may_unload: bool = False,
        start_timeout_s: float = _START_TIMEOUT_S,
        check_interval_s: float = 1.0,
        probe_timeout_s: float = 5.0,
    ) -> Self:
        """Watches a Triton that someone else runs; returns when it serves every model.

        It is never restarted. A model whose stub died is reloaded where Triton's model control
        allows it; everything else is waited for.

        Args:
            address: host:port of its gRPC endpoint, with or without "grpc://".
            models: the models to watch; it must have loaded them.
            version: the one to watch; None: all that are loaded.
            may_unload: nobody else uses the versions that this gateway leaves.
            start_timeout_s: how long to wait for it.
            check_interval_s: between probes of a healthy Triton.
            probe_timeout_s: as for `start`.

        Raises:
            EncoderDown: it did not serve within `start_timeout_s`.
        """
        server = cls(
            address.removeprefix("grpc://"),
            models,
            None,
            version=version,
            may_unload=may_unload,
            check_interval_s=check_interval_s,
            probe_timeout_s=probe_timeout_s,
        )
        return await server._begin(server._await_models(start_timeout_s))

    @property
    def runtimes(self) -> Mapping[tuple[str, int], str]:
        """What each (model, version) says it runs on; "" where it does not say."""
        return self._models.runtimes

    async def wait_ready(self, timeout_s: float) -> None:
        """Returns as soon as everything serves. Raises EncoderDown after `timeout_s`."""
        try:
            await asyncio.wait_for(self._serving.wait(), timeout_s)
        except TimeoutError:
            raise EncoderDown(f"the encoders are {self.state}") from None

    def note_failure(self, error: BaseException) -> None:
        """Tells that a call failed: a check follows at once. Cheap; call it for every failure."""
        if isinstance(error, TritonCallFailed) and error.stub_died:
            self._models.note_dead_stub(error.model)
        self._wake.set()

    async def stop(self) -> None:
        """Ends the watching, and our own Triton, within seconds. Idempotent.

        Drain first: what is still running fails.
        """
        if self.state == "stopped":
            return
        self._set_state("stopped")
        if self.watch_task is not None:
            self.watch_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.watch_task
        await self._client.close()
        if self._process is not None:
            await self._process.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # The watching task

    async def _watch(self) -> None:
        while True:
            await self._pause()
            try:
                broken = await self._check()
                if broken:
                    self._set_state("repairing")
                    await self._repair(broken)
                self._set_state("serving")
            except EncoderDown as error:
                # Nothing that happens here ends the watching: the next round tries again.
                self._failed_repairs += 1
                _log.warning("the encoders are not repaired yet: %s", error)

    async def _pause(self) -> None:
        """Waits for the next round, for a noted failure, or for our process's end."""
        if self.state == "serving" and time.monotonic() - self._serving_since_s > _STEADY_S:
            self._failed_repairs = 0
        noted = asyncio.ensure_future(self._wake.wait())
        ends: set[asyncio.Future[Any]] = {noted}
        if self._process is not None:
            ends.add(self._process.exited)
        await asyncio.wait(
            ends, timeout=self._check_interval_s, return_when=asyncio.FIRST_COMPLETED
        )
        noted.cancel()
        self._wake.clear()

    async def _check(self) -> list[TritonCallFailed]:
        if self._plan is not None:
            rotate_log(self._plan.log_path)
        return await self._models.find_broken()

    async def _repair(self, broken: Sequence[TritonCallFailed]) -> None:
        """Raises EncoderDown when nothing helped."""
        for failure in broken:
            _log.warning("%s; Triton said: %s", failure, failure.detail[:300])
        started_s = time.monotonic()
        if all(failure.stub_died for failure in broken):
            names = {failure.model for failure in broken}
            try:
                await asyncio.gather(*map(self._reload, names))
            except TritonCallFailed as failure:
                _log.warning("reloading did not help: %s: %s", failure, failure.detail[:300])
            else:
                _log.warning("reloaded in %.1f s: %s", time.monotonic() - started_s, sorted(names))
                return
        if self._plan is None:
            await self._await_models(0.0)
            return
        if self._process is not None:
            await self._process.end()
        if self._failed_repairs:
            await asyncio.sleep(min(_LONGEST_BACKOFF_S, 0.25 * 2**self._failed_repairs))
        await self._launch(self._plan, _START_TIMEOUT_S)
        # Not steady before it has served for a while.
        self._failed_repairs += 1
        _log.warning("Triton restarted in %.1f s", time.monotonic() - started_s)

    async def _reload(self, model: str) -> None:
        with self._process.replacing(model) if self._process else contextlib.nullcontext():
            await self._models.reload(model)

    # Starting

    async def _begin(self, first_start: Awaitable[None]) -> Self:
        """Serves after the first start, or leaves nothing behind."""
        try:
            await first_start
        except BaseException:
            await self.stop()
            raise
        self._set_state("serving")
        self.watch_task = asyncio.create_task(self._watch(), name="triton-watch")
        return self

    async def _launch(self, plan: TritonPlan, start_timeout_s: float) -> None:
        """Starts a run of Triton and waits until every model passes its probe."""
        self._models.forget()
        self._process = process = TritonProcess(plan)
        deadline_s = time.monotonic() + start_timeout_s
        try:
            if self.versions is not None:
                await self._await_server(deadline_s)
                left_s = max(deadline_s - time.monotonic(), 1.0)
                await self.versions.load_serving(timeout_s=left_s)
            await self._await_models(deadline_s - time.monotonic())
        except (EncoderDown, OSError, ValueError) as error:
            tail = process.log_tail()
            problem = (
                f"it exited with {process.exited.result()}" if process.exited.done() else error
            )
            await process.end()
            raise TritonStartFailed(f"Triton does not start: {problem}\n{tail}") from error

    async def _await_server(self, deadline_s: float) -> None:
        """Polls until Triton answers at all."""
        while True:
            try:
                await self._client.server_version(timeout_s=_START_CALL_TIMEOUT_S)
            except TritonCallFailed:
                ended = self._process is not None and self._process.exited.done()
                if ended or time.monotonic() > deadline_s:
                    raise
                await asyncio.sleep(_POLL_S)
            else:
                return

    async def _await_models(self, timeout_s: float) -> None:
        """Polls until every model passes; gives up early when our own process has ended."""
        deadline_s = time.monotonic() + timeout_s
        while broken := await self._models.find_broken():
            ended = self._process is not None and self._process.exited.done()
            if ended or time.monotonic() > deadline_s:
                raise broken[0]
            await asyncio.sleep(_POLL_S)

    def _set_state(self, state: TritonState) -> None:
        if state == self.state or self.state == "stopped":
            return
        self.state = state
        if state == "serving":
            self._serving_since_s = time.monotonic()
            self._serving.set()
        else:
            self._serving.clear()
        for callback in self.on_state_change:
            callback(state)


def _config_reader(plan: TritonPlan) -> Callable[[str, Sequence[int]], Any]:
    def read(model: str, versions: Sequence[int]) -> Any:
        folder = plan.model_repository / model
        compile_models(folder, versions)
        return read_config(folder, plan.config_name)

    return read
