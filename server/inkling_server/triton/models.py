"""The models inside one Triton: which versions work, which do not, and reloading one.

Works through Triton's API alone, so it serves our own process and a remote one alike. It knows
nothing of processes and restarts (`triton`), nor of what a model computes (`probe`).
"""

import asyncio
import time
from collections.abc import Sequence

import grpc

from inkling_server.triton.client import TritonCallFailed, TritonClient
from inkling_server.triton.probe import ModelProbe

CALL_TIMEOUT_S = 5.0  # for anything that Triton answers without computing
_RELOAD_TIMEOUT_S = 20.0
_POLL_S = 0.05


class TritonModels:
    """Probes and reloads the models of one Triton.

    Attributes:
        runtimes: what each (model, version) that passed its probe says it runs on.
    """

    def __init__(self, client: TritonClient, models: Sequence[str], probe_timeout_s: float) -> None:
        self._client = client
        self._models = tuple(models)
        self._probe_timeout_s = probe_timeout_s
        self._probes: dict[tuple[str, int], ModelProbe] = {}
        self._dead_stubs: set[str] = set()
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

    async def reload(self, model: str) -> None:
        """Unloads and loads a model: new stubs. Raises TritonCallFailed when that does not help."""
        # Loading alone does nothing: Triton believes that the model is ready.
        await self._client.unload(model, timeout_s=CALL_TIMEOUT_S)
        deadline_s = time.monotonic() + _RELOAD_TIMEOUT_S
        while await self._client.ready_versions(model, timeout_s=CALL_TIMEOUT_S):
            if time.monotonic() > deadline_s:
                break
            await asyncio.sleep(_POLL_S)
        await self._client.load(model, timeout_s=_RELOAD_TIMEOUT_S)
        self._dead_stubs.discard(model)  # notes of calls that met the old stub
        for failure in await self._find_broken_versions(model):
            raise failure

    async def _find_broken_versions(self, model: str) -> list[TritonCallFailed]:
        try:
            versions = await self._client.ready_versions(model, timeout_s=CALL_TIMEOUT_S)
            if not versions:
                return [TritonCallFailed(model, grpc.StatusCode.NOT_FOUND, "no version is loaded")]
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
