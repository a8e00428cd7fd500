"""One run of our own tritonserver: its command line, ports, log, shared memory and end.

A run is started once and ends once; `inkling_server.triton` starts the next one. This module knows
no model's inputs and makes no inference.
"""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inkling_server.errors import EncoderDown
from inkling_server.triton import guard
from inkling_server.triton.install import (
    TritonInstall,
    child_environment,
    find_triton,
    write_backend_directory,
)
from inkling_server.triton.leftovers import (
    region_prefix,
    remove_leftovers,
    remove_stale_leftovers,
    replacing_stubs,
)

LOOPBACK = "127.0.0.1"
LOG_LIMIT_BYTES = 4 * 1024 * 1024
_END_TIMEOUT_S = 4.0
# Below the kernel's range for outgoing connections, so that nobody's connection takes the port
# in the second between two runs.
_PORTS = range(20_000, 32_000)


class TritonStartFailed(EncoderDown):
    """Triton does not start; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class TritonPlan:
    """What every run of one supervisor shares.

    Attributes:
        install: the program's parts.
        model_repository: absolute path.
        run_dir: backend directory, log and caches of this supervisor.
        models: names to load at once; none where they are loaded through the API.
        grpc_port, metrics_port: on the loopback interface; the same for every run.
        config_name: picks `configs/<name>.pbtxt` of each model; "" for config.pbtxt.
    """

    install: TritonInstall
    model_repository: Path
    run_dir: Path
    models: Sequence[str]
    grpc_port: int
    metrics_port: int
    config_name: str = ""

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.grpc_port}"

    @property
    def metrics_address(self) -> str:
        return f"{LOOPBACK}:{self.metrics_port}"

    @property
    def log_path(self) -> Path:
        return self.run_dir / "triton.log"

    @property
    def shm_prefix(self) -> str:
        """Begins the name of every shared memory region of ours; tells whose it is."""
        return region_prefix(self.grpc_port)

    def command(self) -> list[str]:
        """tritonserver's command line."""
        caches = self.install.caches
        backends = write_backend_directory(self.install, self.run_dir / "backends")
        return [
            str(self.install.server),
            f"--model-repository={self.model_repository}",
            f"--backend-directory={backends}",
            f"--cache-directory={caches}",
            # Explicit control lets one model be reloaded when its stub has died.
            "--model-control-mode=explicit",
            *(f"--load-model={model}" for model in self.models),
            *([f"--model-config-name={self.config_name}"] if self.config_name else []),
            # Our configurations are complete; completing them would start each stub twice.
            "--disable-auto-complete-config",
            "--allow-http=false",
            f"--grpc-address={LOOPBACK}",
            f"--grpc-port={self.grpc_port}",
            f"--metrics-address={LOOPBACK}",
            f"--metrics-port={self.metrics_port}",
            "--allow-gpu-metrics=false",
            "--pinned-memory-pool-byte-size=0",
            f"--backend-config=python,shm-region-prefix-name={self.shm_prefix}",
            # Room for a batch of 64 pictures: growing remaps it in both processes.
            f"--backend-config=python,shm-default-byte-size={12 * 1024 * 1024}",
            f"--backend-config=python,shm-growth-byte-size={4 * 1024 * 1024}",
        ]


class TritonProcess:
    """A running tritonserver, under the guard that outlives us.

    Attributes:
        guard_pid: the guard's process id; Triton and its stubs are below it.
        exited: done when Triton and its guard have ended; the result is the exit status.
    """

    def __init__(self, plan: TritonPlan) -> None:
        """Starts Triton; says nothing yet about whether it will serve."""
        self._plan = plan
        plan.run_dir.mkdir(parents=True, exist_ok=True)
        remove_stale_leftovers()
        rotate_log(plan.log_path, limit_bytes=0)
        environment = child_environment(plan.install, home=plan.run_dir)
        environment["INKLING_RUNTIME_CACHE"] = str(plan.run_dir / "runtime_cache")
        with plan.log_path.open("ab") as log:
            # Not by the event loop: its way of forking wakes gRPC's fork handlers.
            self._guard = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-I", "-S", guard.__file__),
                    *(str(os.getpid()), plan.shm_prefix),
                    *plan.command(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=plan.run_dir,
                # Ctrl-C in a terminal is the gateway's to handle: it drains first.
                start_new_session=True,
            )
        self.guard_pid = self._guard.pid
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(self.guard_pid)
        loop.add_reader(self._pidfd, self._reap, loop)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._guard.wait()
        if not self.exited.done():
            self.exited.set_result(status)

    async def end(self) -> None:
        """Kills Triton and its stubs; takes a tenth of a second, at most about four."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self._guard.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.exited), _END_TIMEOUT_S / 2)
                break
        remove_leftovers(self._plan.shm_prefix)

    def replacing(self, model: str) -> contextlib.AbstractContextManager[None]:
        """Around a reload of a model: clears away what Triton forgets of its old stubs."""
        return replacing_stubs(self._plan.shm_prefix, self._plan.model_repository / model)

    def log_tail(self, lines: int = 6) -> str:
        """The end of Triton's log, for an error's text."""
        with contextlib.suppress(OSError), self._plan.log_path.open("rb") as log:
            log.seek(max(0, self._plan.log_path.stat().st_size - 16_384))
            text = log.read().decode("utf-8", "replace")
            # Triton draws wide tables; what went wrong is never in them.
            plain = [line for line in text.splitlines() if line.strip() and line[0] not in "|+"]
            errors = [line for line in plain if line.startswith(("E", "F", "error"))]
            return "\n".join(line[:500] for line in (errors or plain)[-lines:])
        return ""


def make_plan(model_repository: Path, run_dir: Path, models: Sequence[str]) -> TritonPlan:
    """Finds Triton and free ports. Raises TritonNotInstalled, TritonStartFailed."""
    grpc_port, metrics_port = choose_ports(2)
    return TritonPlan(
        install=find_triton(),
        model_repository=model_repository.absolute(),
        run_dir=run_dir.absolute(),
        models=tuple(models),
        grpc_port=grpc_port,
        metrics_port=metrics_port,
    )


def choose_ports(count: int) -> list[int]:
    """Free loopback ports, as far as one can know before they are used."""
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise TritonStartFailed("no free loopback port between 20000 and 32000")


def rotate_log(path: Path, *, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Keeps one older log. Triton may hold the file open: it is emptied, not replaced."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > limit_bytes:
            path.with_suffix(".log.1").write_bytes(path.read_bytes()[-LOG_LIMIT_BYTES:])
            os.truncate(path, 0)
