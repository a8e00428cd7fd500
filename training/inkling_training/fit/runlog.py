"""What a run says while it trains: one JSON object a line in a file, one readable line on stdout.

Knows no loop: it is called with a step and figures.
"""

import json
import time
from pathlib import Path


class RunLog:
    """Appends to RUN/log.jsonl; a resumed run first cuts the lines that it will write again."""

    def __init__(self, path: Path, steps: int) -> None:
        """Args:
        path: made at the first line, with its folder.
        steps: of the whole run, for the readable line.
        """
        self._path, self._steps = path, steps
        self._started = time.monotonic()

    def __call__(self, step: int, figures: dict[str, float]) -> None:
        """Writes one step's figures."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step} | figures) + "\n")
        listed = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(
            f"step {step}/{self._steps}  {listed}  {time.monotonic() - self._started:.0f} s",
            flush=True,
        )

    def cut(self, step: int) -> None:
        """Forgets lines after `step`, and one that a kill left half written."""
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                told = json.loads(line)
            except json.JSONDecodeError:
                continue
            if told["step"] <= step:
                kept.append(line + "\n")
        draft = self._path.with_suffix(".draft")
        draft.write_text("".join(kept), encoding="utf-8")
        draft.replace(self._path)
