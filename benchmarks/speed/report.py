"""The report of a run: one JSON with all that was measured, one Markdown, plots.

Sections of one day and one machine are joined in one document. Tables are made in tables.py, plots
in plots.py; this module reads and writes files.
"""

import json
import platform
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import hardware, processor, versions, write_report
from benchmarks.speed import cost, plots, tables
from benchmarks.speed.bare import CORES
from benchmarks.speed.bench import Plan
from benchmarks.speed.criteria import judge
from benchmarks.speed.tags import ServedModel

_PACKAGES = (
    *("grpcio", "protobuf", "uvloop", "numpy", "onnxruntime", "openvino", "faiss-cpu"),
    *("opencv-python-headless", "simplejpeg", "nvidia-pytriton"),
)
_PRICED = ("peers", "vit")


def begin(plan: Plan, out: Path | None, name: str) -> dict[str, Any]:
    """The document of this day, machine and name, or a new one."""
    path = out / f"{_stem(name)}.json" if out else None
    document: dict[str, Any] = {"sections": {}}
    if path is not None and path.exists():
        document = json.loads(path.read_text(encoding="utf-8"))
    return document | {
        "question": "how fast is the server, how near to the machine's limit, and beside whom?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "processor": _processor(),
        "cores": CORES,
        "python": platform.python_version(),
        "packages": versions(_PACKAGES),
        "price_usd_per_core_hour": plan.price,
    }


def add(
    document: dict[str, Any], name: str, found: dict[str, Any], model: ServedModel, took_s: float
) -> None:
    """Puts a section into the document, and all that follows from it."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    about = {k: v for k, v in asdict(model).items() if k not in ("onnx", "tags")}
    document["sections"][name] = {"time": now, "took_s": round(took_s, 1), "model": about, **found}
    sections = document["sections"]
    document["criteria"] = [criterion.to_dict() for criterion in judge(sections)]
    document["cost"] = {
        part: cost.table(
            sections[part]["results"], document["cores"], document["price_usd_per_core_hour"]
        )
        for part in _PRICED
        if part in sections
    }


def write(document: dict[str, Any], out: Path, name: str) -> None:
    """Writes JSON, Markdown and plots."""
    drawn = plots.draw(document, out, _stem(name))
    write_report(out, name, as_markdown(document, drawn), document)


def as_markdown(document: dict[str, Any], drawn: list[str] | None = None) -> list[str]:
    """The tables, and links to plots beside them."""
    lines = tables.report(document)
    for file in drawn or []:
        lines += ["", f"![{file.rsplit('-', 1)[-1].removesuffix('.png')}]({file})"]
    return lines


def _stem(name: str) -> str:
    return f"{time.strftime('%Y-%m-%d', time.gmtime())}_{hardware()}_{name}"


def _processor() -> str:
    """The processor, with the instructions that matter here."""
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    flags = next((x.split(":")[1].split() for x in lines if x.startswith("flags")), [])
    wanted = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx2")
    return f"{processor()} ({', '.join(flag for flag in wanted if flag in flags)})"
