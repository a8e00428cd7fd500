"""Processor time and memory of a server and of all that it has started.

Roles are told by the command line: gateway, triton, stub, database, helpers (the gateway's other
processes), and server for whoever is not ours. It does not know load.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

_ROLES = (
    ("triton_python_backend_stub", "stub"),
    ("tritonserver", "triton"),
    ("postgres", "database"),
    ("inkling_server.processes.", "gateway"),
    ("-m inkling_server --", "gateway"),
    ("inkling_server", "helpers"),
)


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes (2**20 bytes): resident, and proportional (shared pages count by their share).

    `greatest_mib` is the resident set of the greatest single process.
    """

    rss_mib: float
    pss_mib: float
    greatest_mib: float


def tree(pid: int) -> list[psutil.Process]:
    """The process and everything under it that lives."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def role_of(command_line: Iterable[str]) -> str:
    """What a process is, by its command line."""
    text = " ".join(command_line)
    return next((role for word, role in _ROLES if word in text), "server")


def cpu_seconds(pid: int) -> dict[str, float]:
    """User and system time so far by role, of those that live and of children that they reaped."""
    used: dict[str, float] = defaultdict(float)
    for process in tree(pid):
        try:
            times, role = process.cpu_times(), role_of(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        used[role] += times.user + times.system
    return dict(used)


def used_between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Seconds by role; never negative (a process may have ended in between)."""
    return {role: max(0.0, s - before.get(role, 0.0)) for role, s in after.items()}


def memory(pid: int) -> dict[str, Memory]:
    """Memory by role."""
    rss: dict[str, float] = defaultdict(float)
    pss: dict[str, float] = defaultdict(float)
    greatest: dict[str, float] = defaultdict(float)
    for process in tree(pid):
        try:
            full, role = process.memory_full_info(), role_of(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        rss[role] += full.rss / 2**20
        pss[role] += full.pss / 2**20
        greatest[role] = max(greatest[role], full.rss / 2**20)
    return {
        role: Memory(round(rss[role], 2), round(pss[role], 2), round(greatest[role], 2))
        for role in rss
    }
