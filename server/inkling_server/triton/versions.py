"""Versions of the models side by side in one Triton: the one that serves, and others for a while.

    add(2) ─► [1, 2] loaded, 1 serves ─► serve(2) ─► 2 serves, 1 ends its requests ─► remove(1)

Only the version that serves is watched and brought back (see `supervisor`). Whatever else was
loaded is lost when Triton is restarted or a model is reloaded: a version on trial that takes Triton
down must not be part of the repair.

In a Triton of our own nothing is loaded that nobody uses. One that runs elsewhere may serve other
gateways, too: there, versions are added to what is loaded, and unloaded only where that is allowed.

This module starts no process and knows no encoder.
"""

import asyncio
import logging
import time

from inkling_server.errors import EncoderDown
from inkling_server.triton.client import TritonCallFailed
from inkling_server.triton.models import TritonModels

_UNLOAD_TIMEOUT_S = 20.0
_POLL_S = 0.2

_log = logging.getLogger(__name__)


class TritonVersions:
    """Use from one event loop.

    Args:
        models: of one Triton; `watched` is the version that serves.
        ours: nobody else uses this Triton.
        may_unload: nobody else uses what this gateway has loaded.

    Attributes:
        others: versions that were loaded beside the one that serves.
    """

    def __init__(self, models: TritonModels, *, ours: bool, may_unload: bool) -> None:
        self._models = models
        self._ours = ours
        self._may_unload = may_unload
        self._changing = asyncio.Lock()
        self.others: set[int] = set()

    @property
    def serving(self) -> int:
        """The version that is kept alive."""
        assert self._models.watched is not None
        return self._models.watched

    async def loaded(self) -> set[int]:
        """What Triton calls ready. Raises TritonCallFailed."""
        return await self._models.ready()

    async def load_serving(self, *, timeout_s: float) -> None:
        """Loads the version that serves and nothing else, into a Triton that has just started."""
        self.others.clear()
        await self._models.load([self.serving], timeout_s=timeout_s)

    async def add(self, version: int, *, timeout_s: float) -> None:
        """Loads one beside those that are loaded; when it fails, everything is as it was.

        Raises:
            EncoderDown: Triton does not serve it within `timeout_s`; the text says why.
        """
        async with self._changing:
            before = await self._wanted()
            if version in before:
                return
            self.others.add(version)
            try:
                await self._models.load(
                    sorted(before | {version}), timeout_s=timeout_s, one_by_one=True
                )
            except TritonCallFailed as failure:
                self.others.discard(version)
                if failure.control_refused:
                    await self._await(version, timeout_s)
                    return
                await self._clean_up()
                raise EncoderDown(
                    f"Triton cannot load version {version}: {failure.detail[:500]}"
                ) from failure
            except BaseException:
                self.others.discard(version)
                await self._clean_up()
                raise

    def serve(self, version: int) -> None:
        """From now on this one is watched and brought back; the one before waits for `remove`."""
        if version == self.serving:
            return
        if self._ours:
            self.others.add(self.serving)
        self.others.discard(version)
        self._models.watched = version

    async def remove(self, version: int) -> None:
        """Unloads one that no longer serves, where that is allowed. It never raises."""
        if version == self.serving or not self._may_unload:
            return
        async with self._changing:
            self.others.discard(version)
            await self._clean_up(leaving=version)

    async def _wanted(self) -> set[int]:
        """What must stay loaded: elsewhere, all that is."""
        if self._ours:
            return {self.serving, *self.others}
        return await self.loaded()

    async def _clean_up(self, leaving: int | None = None) -> None:
        """Unloads what nobody uses any more, as far as possible."""
        if not self._may_unload:
            return
        try:
            wanted = sorted(v for v in await self._wanted() if v != leaving)
            await self._models.load(wanted, timeout_s=_UNLOAD_TIMEOUT_S)
        except (EncoderDown, OSError, ValueError) as error:
            # A Triton that has gone has unloaded everything; another one is asked the next time.
            _log.warning("a version that is not used may stay loaded in Triton: %s", error)

    async def _await(self, version: int, timeout_s: float) -> None:
        """Waits until a Triton that loads nothing on request has the version by itself."""
        deadline_s = time.monotonic() + timeout_s
        while version not in await self._models.ready():
            if time.monotonic() > deadline_s:
                raise EncoderDown(
                    f"Triton does not serve version {version} and loads nothing on request:"
                    " start it with --model-control-mode=explicit or poll, or load it there"
                )
            await asyncio.sleep(_POLL_S)
