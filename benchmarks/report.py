"""Where a benchmark ran, and its result files.

It does not know what was measured.
"""

import json
import os
import platform
import re
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def hardware() -> str:
    """Processor and cores, as part of a file's name."""
    slug = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    return f"{slug}-{len(os.sched_getaffinity(0))}-cores"


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor as the kernel calls it.

    A hypervisor may hide the number ("AMD EPYC"), which two generations then share; family and
    model tell them apart.
    """
    if not info.exists():
        return platform.machine()
    text = info.read_text(encoding="ascii", errors="replace")
    entries = re.findall(r"^(model name|cpu family|model)\s*:\s*(.+?)\s*$", text, re.MULTILINE)
    found: dict[str, str] = dict(entries)
    name = found.get("model name", platform.machine())
    if "cpu family" in found and "model" in found and not re.search(r"\d", name):
        name += f" family {found['cpu family']} model {found['model']}"
    return name


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_report(out: Path, name: str, lines: list[str], report: dict[str, Any]) -> None:
    """Writes <date>_<hardware>_<name>.{json,md}."""
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{time.strftime('%Y-%m-%d', time.gmtime())}_{hardware()}_{name}"
    (out / f"{stem}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
