"""What the tests' view of a running server's processes does while they come and go."""

import subprocess
import sys

import psutil

from tests.server_process import command_line, wait_until


def test_a_child_that_ended_and_was_not_waited_for_has_no_command_line() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    process = psutil.Process(ended.pid)
    wait_until("it ends", lambda: process.status() == psutil.STATUS_ZOMBIE, 20)
    assert command_line(process) == []
    ended.wait()
    assert command_line(process) == []


def test_a_running_one_has_its_own() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()", "word"], stdin=subprocess.PIPE
    ) as running:
        process = psutil.Process(running.pid)
        # Until it has called exec it has our command line.
        wait_until("it runs", lambda: command_line(process)[-1:] == ["word"], 20)
        running.communicate(b"\n", timeout=20)
