"""A follower process that only talks: it says that it serves what it is told, or misbehaves.

    python stub_follower.py NOTES MANNER

Each start appends a line "NUMBER PID" to the file NOTES; so does SIGTERM, "NUMBER drained".
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any


def main() -> None:
    notes, manner = Path(sys.argv[1]), sys.argv[2]
    connection = socket.socket(fileno=os.dup(0)).makefile("rwb")
    orders = json.loads(connection.readline())["orders"]
    number, serving = orders["number"], orders["target"]

    def note(text: object) -> None:
        with notes.open("a") as file:
            file.write(f"{number} {text}\n")

    def drain(*_: object) -> None:
        note("drained")
        if manner != "stays":
            os._exit(0)

    signal.signal(signal.SIGTERM, drain)
    note(os.getpid())
    starts = [line for line in notes.read_text().splitlines() if line.startswith(f"{number} ")]
    if manner == "fails at first" and len(starts) <= 2:
        sys.exit(3)

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        nonlocal serving
        if question["type"] == "metrics":
            sample = ["a_total", {"rpc": "Tag"}, float(number)]
            family = {"name": "a", "what": "An a.", "kind": "counter", "samples": [sample]}
            return {"type": "metrics", "families": [family]}
        models = {serving["model"], question["target"]["model"]}
        if manner != "clings" or len(starts) > 1:
            serving = question["target"]
            models = {serving["model"]}
        report = {"serving": True, "problem": "", "target": serving, "models": sorted(models)}
        if manner == "is unwell" and len(starts) == 1 and time.monotonic() - began_s > 0.1:
            report |= {"serving": False, "problem": "the canary"}
        return {"type": "report", "report": report}

    began_s = time.monotonic()
    if manner == "hangs" and len(starts) == 1:
        connection.readline()
        threading.Event().wait()
    while line := connection.readline():
        question = json.loads(line)
        connection.write(json.dumps({**answer(question), "id": question["id"]}).encode() + b"\n")
        connection.flush()


if __name__ == "__main__":
    main()
