"""Generates the Python code of proto/inkling/v1: messages, gRPC stubs and their types.

python proto/generate.py            into proto/, beside the .proto files
python proto/generate.py --out DIR  elsewhere (a test compares that with what is committed)
"""

import argparse
import os
import sys
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
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("inkling/v1/*.proto"))
    kinds = ("python", "grpc_python", "mypy", "mypy_grpc")
    arguments = ["protoc", f"-I{ROOT}", f"-I{googleapis}", f"-I{bundled}"]
    arguments += [f"--{kind}_out={out}" for kind in kinds]
    # protoc finds the plugins of mypy-protobuf by PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return int(protoc.main([*arguments, *sources]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT)
    sys.exit(generate(parser.parse_args().out))
