"""The committed code of proto/ is what proto/generate.py makes of the .proto files."""

import subprocess
import sys
from pathlib import Path


def test_generated_code_is_current(repository: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, repository / "proto" / "generate.py", "--out", tmp_path], check=True
    )
    made = {p.name: p.read_bytes() for p in tmp_path.rglob("*_pb2*")}
    committed = {p.name: p.read_bytes() for p in (repository / "proto").rglob("*_pb2*.py*")}
    assert made.keys() == committed.keys()
    assert [name for name in made if made[name] != committed[name]] == [], "run `make proto`"
