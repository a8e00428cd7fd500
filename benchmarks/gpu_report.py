"""Puts together what the sections of `bench_gpu` have left: one report, one page of Markdown.

It does not measure: shares are computed here, from the ceilings that were measured in the same run.
"""

import json
import os
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

QUESTION = "how near to the GPU's limits are encoder, index and the whole path?"


def machine() -> dict[str, Any]:
    """The card, and what it runs with. Imports torch."""
    import torch

    if not torch.cuda.is_available():
        card, memory = "no GPU", 0
    else:
        properties = torch.cuda.get_device_properties(0)
        card, memory = properties.name, properties.total_memory
    return {
        "card": card,
        "card_memory_gib": round(memory / 2**30, 1),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def collect(work_dir: Path, sections: tuple[str, ...], ends: Mapping[str, str]) -> dict[str, Any]:
    """The report of every section that has left something; `ends`: how each of this run ended."""
    found: dict[str, Any] = {}
    for name in sections:
        path = work_dir / f"{name}.json"
        if path.is_file():
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    ceilings = found.get("ceilings", {})
    return {
        "question": QUESTION,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": ceilings.get("machine", {}),
        "ends": dict(ends),
        "sections": found,
        "shares": _shares(found, ceilings),
    }


def write(out: Path, report: dict[str, Any], lines: list[str]) -> None:
    """Writes <date>_<card>_gpu.{json,md}."""
    out.mkdir(parents=True, exist_ok=True)
    card = re.sub(r"[^a-z0-9]+", "-", report["machine"].get("card", "gpu").lower()).strip("-")
    stem = f"{report['time'][:10]}_{card}_gpu"
    (out / f"{stem}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _shares(found: dict[str, Any], ceilings: dict[str, Any]) -> list[dict[str, Any]]:
    """Each encoder's rate by way and batch, as shares of what the card can do."""
    rows = []
    for name, network in found.get("encoder", {}).items():
        if "gflop_per_picture" not in network:
            continue
        ways = {way: network.get(way, {}) for way in ("eager", "compiled")}
        ways |= {
            way: found.get("ort", {}).get(name, {}).get(way, {})
            for way in ("ort", "ort channels first", "served")
        }
        for way, rates in ways.items():
            half = way not in ("eager", "compiled") or network["dtype"] == "float16"
            peak = ceilings.get(f"matmul_{'float16' if half else 'bfloat16'}_tflops")
            for batch, rate in rates.items():
                row = {"network": name, "way": way, "batch": batch, "pictures_per_s": rate}
                if peak:
                    row["of_matmul"] = rate * network["gflop_per_picture"] / peak / 1e3
                    row["of_copy"] = rate * network["mb_per_picture"] / ceilings["copy_tbps"] / 1e6
                rows.append(row)
    return rows


def as_markdown(report: dict[str, Any]) -> list[str]:
    """The page, as lines."""
    found, at = report["sections"], report["machine"]
    lines = [
        f"# {report['question'].capitalize()}",
        "",
        f"{report['time'][:10]}, {at.get('card', '?')}, {at.get('cores', '?')} cores; torch"
        f" {at.get('torch', '?')}, Python {at.get('python', '?')}.",
    ]
    ends = [f"{name}: {end}" for name, end in report["ends"].items() if end != "done"]
    lines += ["", f"Not whole: {'; '.join(ends)}."] if ends else []
    if ceilings := found.get("ceilings"):
        lines += ["", "## Ceilings, measured", ""]
        lines += [
            f"- {label}: {ceilings[key]:.4g} {unit}"
            for key, label, unit in (
                ("matmul_bfloat16_tflops", "matrix product, bfloat16", "TFLOP/s"),
                ("matmul_float16_tflops", "matrix product, float16", "TFLOP/s"),
                ("copy_tbps", "copy on the card, read plus written", "TB/s"),
            )
        ]
        for kind, rates in ceilings["host_to_device_gbps"].items():
            told = ", ".join(f"{rows} pictures {rate:.1f}" for rows, rate in rates.items())
            lines.append(f"- to the card from {kind} memory, GB/s: {told}")
    if report["shares"]:
        lines += ["", "## Encoders", ""]
        lines += ["| network | way | batch | pictures/s | of the matrix product | of the copy |"]
        lines += ["|---|---|---:|---:|---:|---:|"]
        lines += [
            f"| {r['network']} | {r['way']} | {r['batch']} | {r['pictures_per_s']:,.0f} |"
            f" {r.get('of_matmul', 0):.1%} | {r.get('of_copy', 0):.1%} |"
            for r in report["shares"]
        ]
        lines += [
            f"\n{name}, torch: {network['failed']} before all was measured."
            for name, network in found.get("encoder", {}).items()
            if "failed" in network
        ]
    searches = [*found.get("index-torch", []), *found.get("index", [])]
    if searches:
        tbps = found.get("ceilings", {}).get("copy_tbps")
        lines += ["", "## Search", "", "| way | tags | batch | ms | of the copy |"]
        lines += ["|---|---:|---:|---:|---:|"]
        lines += [
            f"| {r['way']} | {r['tags']:,} | {r['batch']} | {r['ms']:.3f} |"
            f" {r['gb_read'] / r['ms'] / tbps if tbps else 0:.1%} |"
            for r in searches
        ]
    if fidelity := found.get("fidelity"):
        lines += ["", "## Fidelity to float32 on the CPU (inkling-small)", ""]
        lines += ["| precision | least cosine | mean cosine | tags kept |", "|---|---:|---:|---:|"]
        lines += [
            f"| {name} | {r['least_cosine']:.5f} | {r['mean_cosine']:.5f} | {r['tags_kept']:.3f} |"
            for name, r in fidelity.items()
            if isinstance(r, dict)
        ]
    if decode := found.get("decode"):
        lines += ["", "## Decoding 640 x 480 JPEGs to 224 x 224, pictures/s", ""]
        lines += [f"- CPU, {n} threads: {rate:,.0f}" for n, rate in decode["cpu"].items()]
        lines += [f"- nvJPEG, batch {n}: {rate:,.0f}" for n, rate in decode["nvjpeg"].items()]
        lines += [f"- nvJPEG: {decode['nvjpeg_failed']}"] if "nvjpeg_failed" in decode else []
    if path := found.get("path"):
        lines += ["", "## JPEG -> tags (TagStream)", ""]
        lines += ["| model | on | gateways | pictures/s | p50 ms | p99 ms | failed | cores used |"]
        lines += ["|---|---|---:|---:|---:|---:|---:|---|"]
        for r in path:
            head = f"| {r['model']} | {r['device']} | {r['processes']} |"
            if "pictures_per_s" not in r:
                lines.append(f"{head} {r['failed'].splitlines()[-1][:120]} | | | | |")
                continue
            used = ", ".join(f"{name} {cores}" for name, cores in r["cpu_s_per_s"].items())
            lines.append(
                f"{head} {r['pictures_per_s']:,.0f} | {r['p50_ms'] or 0:.1f} |"
                f" {r['p99_ms'] or 0:.1f} | {r['failed_pictures']} | {used} |"
            )
    return lines
