"""`python -m inkling_server`: flags and environment -> Settings -> serve until a signal.

On standard output it prints one JSON object a line, for programs: "listening" with the ports as
soon as they answer, "serving" when pictures are tagged, and with several processes "all_serving"
when each of them does. Logs go to standard error. Exit codes: 0 after SIGTERM or SIGINT, 1 where it
cannot start, 2 for wrong settings.

Nothing here knows what a server is made of: see `gateway.py`.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

import inkling_server.blas_threads  # noqa: F401 - before whatever imports numpy
from inkling_server.data_dir import DataDirInUse
from inkling_server.errors import InklingError
from inkling_server.gateway import running_gateway
from inkling_server.interests.snapshot import SnapshotDamaged
from inkling_server.model_manifest import CalibrationUnusable
from inkling_server.rpc.server import PortTaken
from inkling_server.settings import Settings, describe_problems, load_settings
from inkling_server.telemetry import set_up_logging
from inkling_server.triton.backend import open_triton

_log = logging.getLogger("inkling_server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server; returns the exit code."""
    try:
        settings = load_settings(sys.argv[1:] if arguments is None else arguments)
    except ValidationError as error:
        sys.stderr.write(f"inkling-server: wrong settings\n{describe_problems(error)}\n")
        return 2
    set_up_logging(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    try:
        async with running_gateway(settings, open_triton) as gateway:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, gateway.interrupt)
            ports = {"grpc_port": gateway.grpc_port, "http_port": gateway.http_port}
            _tell("listening", host=settings.host, **ports)
            if await gateway.wait_until_serving():
                _tell("serving", host=settings.host, **ports)
            if settings.processes > 1 and await gateway.wait_until_all_serve():
                _tell("all_serving", processes=settings.processes, **ports)
            await gateway.wait_until_stopping()
    except (
        InklingError,
        SnapshotDamaged,
        CalibrationUnusable,
        PortTaken,
        DataDirInUse,
        OSError,
    ) as error:
        _log.error("cannot serve: %s", error)
        return 1
    return 0


def _tell(event: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"event": event, "pid": os.getpid(), **facts}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
