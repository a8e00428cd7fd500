"""A few big slots of system shared memory that Triton reads pictures from.

A batch of 32 pictures is 4.8 MB: by message it costs several copies and milliseconds of CPU on both
sides, through here one copy. The region's name is unlinked as soon as Triton has opened it, so
nothing stays in /dev/shm, however either side ends.

Whoever takes a slot gives it back when the call has ended. A call that timed out may still be
waiting inside Triton with its slot in somebody else's hands by then: Triton only ever reads, and
that call's result is thrown away, so a newer batch in the slot harms nobody.

Knows no models; the one user is `encoder`.
"""

import contextlib
import mmap
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkling_server.triton.client import RegionPart, TritonCallFailed, TritonClient

_SHM = Path("/dev/shm")  # noqa: S108


class SharedSlots:
    """One registered region, cut into slots of equal size. One event loop owns it."""

    def __init__(self, client: TritonClient, slot_bytes: int, slot_count: int) -> None:
        self._client = client
        self._slot_bytes = slot_bytes
        self._slot_count = slot_count
        self._name = ""
        self._bytes: NDArray[np.uint8] | None = None
        self._free: list[int] = []

    async def open(self, *, timeout_s: float) -> None:
        """Makes a region and registers it with Triton; again after Triton was restarted.

        Raises:
            OSError: /dev/shm is missing or full.
            TritonCallFailed: Triton does not take it, perhaps because it runs elsewhere.
        """
        size_bytes = self._slot_bytes * self._slot_count
        name = f"inkling_pictures_{uuid.uuid4().hex}"
        path = _SHM / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Reserves the memory: a full /dev/shm is an error here and not a SIGBUS later.
            os.posix_fallocate(descriptor, 0, size_bytes)
            memory = mmap.mmap(descriptor, size_bytes)
            await self._client.register_region(name, f"/{name}", size_bytes, timeout_s=timeout_s)
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)
        # The old region's pages live on as long as somebody still looks at them.
        self._name = name
        self._bytes = np.frombuffer(memory, np.uint8)
        self._free = list(range(self._slot_count))

    @property
    def is_open(self) -> bool:
        """A region is registered, as far as we know."""
        return self._bytes is not None

    @property
    def free_count(self) -> int:
        return len(self._free)

    def take(self, rows: Iterable[NDArray[np.uint8]]) -> "Slot | None":
        """Copies rows one behind the other into a free slot; None when there is none or they are
        too big."""
        if self._bytes is None or not self._free:
            return None
        index = self._free[-1]
        start = end = index * self._slot_bytes
        for row in rows:
            begin, end = end, end + row.nbytes
            if end - start > self._slot_bytes:
                return None
            self._bytes[begin:end] = row.reshape(-1)
        self._free.pop()
        return Slot(self, self._name, index, RegionPart(self._name, start, end - start))

    def give_back(self, name: str, index: int) -> None:
        """Frees a slot; slots of a region that is gone are forgotten."""
        if name == self._name:
            self._free.append(index)

    async def close(self, *, abandoned: bool, timeout_s: float) -> None:
        """Unregisters the region.

        Args:
            abandoned: calls timed out lately. Triton may then still read the region, and would
                crash: it keeps the mapping until it ends.
            timeout_s: for Triton's answer.
        """
        if self._name and not abandoned:
            with contextlib.suppress(TritonCallFailed):
                await self._client.unregister_region(self._name, timeout_s=timeout_s)
        self._name, self._bytes, self._free = "", None, []


class Slot:
    """A taken slot; `part` is what a request names."""

    def __init__(self, owner: SharedSlots, name: str, index: int, part: RegionPart) -> None:
        self._owner, self._name, self._index = owner, name, index
        self.part = part

    def give_back(self) -> None:
        self._owner.give_back(self._name, self._index)
