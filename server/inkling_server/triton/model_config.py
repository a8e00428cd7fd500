"""A model's configuration with other versions in it, as Triton's API takes it.

    config.pbtxt, or what a running Triton says ─► version_policy: specific ─► JSON ─► load

Triton keeps a version that serves already while it loads another one, and unloads what is no
longer named, after its last request: so one call moves a model from one set of versions to another.
It does so only where neither the rest of the configuration nor the version's folder has changed;
otherwise it loads that version anew.

This module makes no calls.
"""

import importlib.util
import py_compile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2


def read_config(folder: Path, config_name: str = "") -> Any:
    """The configuration (ModelConfig) that Triton would read in a model's folder.

    Args:
        folder: of the model.
        config_name: as Triton's `--model-config-name`; "" for config.pbtxt.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    named = folder / "configs" / f"{config_name}.pbtxt"
    path = named if config_name and named.is_file() else folder / "config.pbtxt"
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise ValueError(f"{path.name} of {folder.name} cannot be read: {error}") from error


def compile_models(folder: Path, versions: Sequence[int]) -> None:
    """Compiles the Python files of a model's versions, where their folders can be written.

    Otherwise the stub would (it does not heed PYTHONDONTWRITEBYTECODE), *after* Triton has noted
    when the folder was changed last: the next call would load a version anew that serves well.
    """
    for version in versions:
        path = folder / str(version) / "model.py"
        with suppress(OSError, py_compile.PyCompileError):
            compiled = Path(importlib.util.cache_from_source(str(path)))
            if compiled.is_file() and compiled.stat().st_mtime > path.stat().st_mtime:
                continue
            if path.is_file():
                py_compile.compile(str(path), doraise=True)


def with_versions(config: Any, versions: Sequence[int]) -> str:
    """The same configuration, as JSON, for these versions and no others."""
    changed = model_config_pb2.ModelConfig()
    changed.CopyFrom(config)
    changed.version_policy.specific.versions[:] = sorted(versions)
    return str(json_format.MessageToJson(changed, preserving_proto_field_name=True))


def has_versions(config: Any) -> bool:
    """Whether somebody has named its versions through the API (or in the file)."""
    return bool(config.version_policy.WhichOneof("policy_choice") == "specific")
