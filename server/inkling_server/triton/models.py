"""The models inside one Triton: which versions work, which do not, loading and reloading them.

Works through Triton's API alone, so it serves our own process and a remote one alike. It knows
nothing of processes and restarts (`supervisor`), nor of what a model computes (`probe`).
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc

from inkling_server.triton.client import TritonCallFailed, TritonClient
from inkling_server.triton.model_config import has_versions, with_versions
from inkling_server.triton.probe import ModelProbe

CALL_TIMEOUT_S = 5.0  # for anything that Triton answers without computing
_RELOAD_TIMEOUT_S = 20.0
_POLL_S = 0.05
T = TypeVar("T")


class TritonModels:
    """Probes and reloads the models of one Triton.

    Args:
        client: calls it.
        models: their names.
        probe_timeout_s: for one probe.
        read_config: a model's configuration, for these versions; None: what that Triton says it is.
        watched: the version that must work; None: every one that is loaded.

    Attributes:
        runtimes: what each (model, version) that passed its probe says it runs on.
    """

    def __init__(
        self,
        client: TritonClient,
        models: Sequence[str],
        probe_timeout_s: float,
        *,
        read_config: Callable[[str, Sequence[int]], Any] | None = None,
        watched: int | None = None,
    ) -> None:
        self._client = client
        self._read_config = read_config
        self.watched = watched
        self._models = tuple(models)
        self._probe_timeout_s = probe_timeout_s
        self._probes: dict[tuple[str, int], ModelProbe] = {}
        self._dead_stubs: set[str] = set()
        self._loading_count = 0
        self.runtimes: dict[tuple[str, int], str] = {}

    def note_dead_stub(self, model: str) -> None:
        """A call met a dead stub: the model counts as broken whatever its next probe says.

        With several instances the next probe may well meet a healthy one.
        """
        self._dead_stubs.add(model)

    def forget(self) -> None:
        """Drops what is known: Triton was restarted."""
        self._probes.clear()
        self._dead_stubs.clear()
        self.runtimes.clear()

    async def find_broken(self) -> list[TritonCallFailed]:
        """Probes every version of every model, side by side; one failure for each that fails."""
        noted, self._dead_stubs = self._dead_stubs, set()
        found = await asyncio.gather(*map(self._find_broken_versions, self._models))
        broken = [failure for failures in found for failure in failures]
        unseen = noted - {failure.model for failure in broken}
        return broken + [
            TritonCallFailed(model, grpc.StatusCode.INTERNAL, "Stub process is not healthy (noted)")
            for model in unseen
        ]

    async def ready(self) -> set[int]:
        """Versions that Triton calls ready for every model. Raises TritonCallFailed."""
        found = await self._of_each(
            lambda model: self._client.ready_versions(model, timeout_s=CALL_TIMEOUT_S)
        )
        return set.intersection(*map(set, found))

    async def load(
        self, versions: Sequence[int], *, timeout_s: float, one_by_one: bool = False
    ) -> None:
        """Has these versions of every model loaded, and no others.

        Versions that serve already go on serving, and those that leave finish their requests.

        Args:
            versions: wanted.
            timeout_s: for each model.
            one_by_one: one model after the other, so that what serves keeps some processors.

        Raises:
            TritonCallFailed: one cannot be loaded; the others are.
            OSError, ValueError: the configuration cannot be read.
        """

        async def load(model: str) -> None:
            config = with_versions(await self._config(model, versions), versions)
            await self._client.load(model, config=config, timeout_s=timeout_s)

        self._loading_count += 1
        try:
            if one_by_one:
                for model in self._models:
                    await load(model)
            else:
                await self._of_each(load)
        finally:
            self._loading_count -= 1
        missing = sorted(set(versions) - await self.ready())
        if missing:
            raise TritonCallFailed(
                "", grpc.StatusCode.NOT_FOUND, f"no such version in Triton's repository: {missing}"
            )

    async def _config(self, model: str, versions: Sequence[int]) -> Any:
        if self._read_config is not None:
            return await asyncio.to_thread(self._read_config, model, versions)
        return await self._client.config(model, None, timeout_s=CALL_TIMEOUT_S)

    async def _of_each(self, call: Callable[[str], Awaitable[T]]) -> list[T]:
        """Side by side; the first failure is raised when all have ended."""
        found = await asyncio.gather(*map(call, self._models), return_exceptions=True)
        for result in found:
            if isinstance(result, BaseException):
                raise result
        return [result for result in found if not isinstance(result, BaseException)]

    async def reload(self, model: str) -> None:
        """Unloads and loads a model: new stubs. Raises TritonCallFailed when that does not help."""
        config = await self._config_after_reload(model)
        # Loading alone does nothing: Triton believes that the model is ready.
        await self._client.unload(model, timeout_s=CALL_TIMEOUT_S)
        deadline_s = time.monotonic() + _RELOAD_TIMEOUT_S
        while await self._client.ready_versions(model, timeout_s=CALL_TIMEOUT_S):
            if time.monotonic() > deadline_s:
                break
            await asyncio.sleep(_POLL_S)
        await self._client.load(model, config=config, timeout_s=_RELOAD_TIMEOUT_S)
        self._dead_stubs.discard(model)  # notes of calls that met the old stub
        for failure in await self._find_broken_versions(model):
            raise failure

    async def _config_after_reload(self, model: str) -> str:
        """What to load it with, so that it has the versions that it should; "": its own file."""
        if self._read_config is not None and self.watched is not None:
            watched = [self.watched]
            return with_versions(await self._config(model, watched), watched)
        with contextlib.suppress(TritonCallFailed):
            config = await self._client.config(model, None, timeout_s=CALL_TIMEOUT_S)
            if has_versions(config):
                return with_versions(config, config.version_policy.specific.versions)
        return ""

    async def _find_broken_versions(self, model: str) -> list[TritonCallFailed]:
        try:
            versions = await self._client.ready_versions(model, timeout_s=CALL_TIMEOUT_S)
            if self.watched is not None:
                # The others are on trial, or are leaving, or belong to other gateways.
                versions = [version for version in versions if version == self.watched]
            if not versions:
                return [TritonCallFailed(model, grpc.StatusCode.NOT_FOUND, "it is not loaded")]
            answered_before = await self._client.success_count(model, timeout_s=CALL_TIMEOUT_S)
        except TritonCallFailed as failure:
            return [failure]
        tried = await asyncio.gather(
            *(self._probe(model, version, answered_before) for version in versions)
        )
        return [failure for failure in tried if failure is not None]

    async def _probe(
        self, model: str, version: int, answered_before: int
    ) -> TritonCallFailed | None:
        key = (model, version)
        try:
            if key not in self._probes:
                self._probes[key] = await ModelProbe.prepare(
                    self._client, model, version, timeout_s=CALL_TIMEOUT_S
                )
            self.runtimes[key] = await self._probes[key].run(timeout_s=self._probe_timeout_s)
        except TritonCallFailed as failure:
            return None if await self._is_busy(failure, answered_before) else failure
        return None

    async def _is_busy(self, failure: TritonCallFailed, answered_before: int) -> bool:
        """A probe that finds no place while others are answered: the model works, and is full."""
        if not failure.timed_out and not failure.queue_full:
            return False
        if self._loading_count:
            # Loading takes every processor that there is, from this model, too.
            return True
        # A full queue is known at once, before anybody could be answered.
        patience_s = 0.0 if failure.timed_out else self._probe_timeout_s
        deadline_s = time.monotonic() + patience_s
        try:
            while True:
                answered = await self._client.success_count(failure.model, timeout_s=CALL_TIMEOUT_S)
                if answered > answered_before or time.monotonic() > deadline_s:
                    return answered > answered_before
                await asyncio.sleep(_POLL_S)
        except TritonCallFailed:
            return False
