"""Generates the Python code of proto/inkling/v1: messages, gRPC stubs and their types.

python proto/generate.py            into proto/, beside the .proto files
python proto/generate.py --out DIR  elsewhere (a test compares that with what is committed)
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.rpc import status_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent


def generate(out: Path) -> int:
    """Runs protoc into `out`; returns its exit status."""
    # googleapis-common-protos ships google/rpc/*.proto beside its generated code.
    googleapis = Path(status_pb2.__file__).parents[2]
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        # It ships operations.proto under another name, and registers it under this one.
        longrunning = Path(folder) / "google" / "longrunning"
        longrunning.mkdir(parents=True)
        shipped = googleapis / "google" / "longrunning" / "operations_proto.proto"
        shutil.copy(shipped, longrunning / "operations.proto")
        return _run_protoc(out, [ROOT, Path(folder), googleapis, bundled])


def _run_protoc(out: Path, include: list[Path]) -> int:
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("inkling/v1/*.proto"))
    kinds = ("python", "grpc_python", "mypy", "mypy_grpc")
    arguments = ["protoc", *(f"-I{folder}" for folder in include)]
    arguments += [f"--{kind}_out={out}" for kind in kinds]
    # protoc finds the plugins of mypy-protobuf by PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return int(protoc.main([*arguments, *sources]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT)
    sys.exit(generate(parser.parse_args().out))
