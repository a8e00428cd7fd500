"""What Triton leaves behind, and whose it is: stub processes and shared memory regions.

Triton's Python backend makes one region of /dev/shm for each stub process, and leaves it there when
Triton, the gateway or the stub is killed. A stub whose Triton is killed ends by itself, unless it
is in the middle of a request: then it waits for ever for its server (seen with Triton 2.51). Every
region of ours, and so every stub's command line, carries a prefix that names the gateway process:
several gateways side by side never touch each other's.
"""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SHM = Path("/dev/shm")  # noqa: S108
# Process numbers mean something only within their namespace (containers may share /dev/shm).
_NAMESPACE = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
_PREFIX = f"inkling_{_NAMESPACE}_"


@dataclass(frozen=True, slots=True)
class Stub:
    """A process that runs one instance of one version of a Python model."""

    pid: int
    model_folder: Path
    region: str


def region_prefix(port: int) -> str:
    """Begins the names of the regions of this process's Triton on this port."""
    return f"{_PREFIX}{os.getpid()}_{port}_"


def find_stubs(prefix: str) -> list[Stub]:
    """The live stubs of one Triton, from the process list."""
    stubs = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            # A stub's arguments begin with its model.py and its region.
            if len(words) > 2 and words[2].startswith(prefix):
                stubs.append(Stub(int(folder.name), Path(words[1]).parent.parent, words[2]))
    return stubs


@contextlib.contextmanager
def replacing_stubs(prefix: str, model_folder: Path) -> Iterator[None]:
    """Around a reload: afterwards the model's old stubs and unused regions are gone.

    Triton forgets a stub that hangs, and the region of one that died.
    """
    old_stubs = [stub for stub in find_stubs(prefix) if stub.model_folder == model_folder]
    old_regions = [path.name for path in _SHM.glob(f"{prefix}*")]
    yield
    alive = find_stubs(prefix)
    for stub in alive:
        if stub in old_stubs:
            os.kill(stub.pid, signal.SIGKILL)
    used = {stub.region for stub in alive if stub not in old_stubs}
    for region in old_regions:
        if region not in used:
            (_SHM / region).unlink(missing_ok=True)


def remove_leftovers(prefix: str) -> None:
    """Kills the stubs and unlinks the regions of a Triton that has ended."""
    for stub in find_stubs(prefix):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(stub.pid, signal.SIGKILL)
    for region in _SHM.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            region.unlink(missing_ok=True)


def remove_stale_leftovers() -> None:
    """The same for every gateway that no longer lives: gateway and guard were both killed."""
    regions = {path.name for path in _SHM.glob(f"{_PREFIX}*")}
    for name in regions | {stub.region for stub in find_stubs(_PREFIX)}:
        owner = re.match(rf"{_PREFIX}(\d+)_\d+_", name)
        if owner and not Path("/proc", owner.group(1)).exists():
            remove_leftovers(owner.group())
