"""A Triton model repository as files: configurations, and versions that appear whole or not at all.

    OUT/vision_encoder/config.pbtxt, configs/*.pbtxt      written once, for all versions
    OUT/text_encoder/.draft-3-PID/     ─► renamed ─►  OUT/text_encoder/3/
    OUT/vision_encoder/.draft-3-PID/   ─► renamed ─►  OUT/vision_encoder/3/   last: its manifest is
                                                      what makes a version

Triton and the gateway look at folders whose names are numbers; a draft's is none. This module does
not know torch, runtimes or what the files hold.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from tokenizers import Tokenizer

from inkling_server.model_manifest import Calibration, PixelSpec, TextSpec
from inkling_training.export.tensorrt import MAX_BATCH

VISION, TEXT = "vision_encoder", "text_encoder"
_ENCODERS = (VISION, TEXT)
MOST_ROWS = (32, 64)
# Floating-point operations of one call: a core does about 1e11 a second in float32. Pictures get
# more, because their rows are spread over all processors, of which there may be many.
_MOST_FLOPS = (6e11, 1e11)
_MODEL_PY = '''"""What Triton's Python stub runs for this version; model.onnx lies beside it."""

from inkling_server.python_backend import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''
# What answers depend on; reports and calibrations are not part of the model.
_HASHED = (
    "model.onnx", "model.onnx.data", "model.xml", "model.bin", "model.plan", "runtime.json",
    "tokenizer.json",
)  # fmt: skip


class RepositoryMismatch(ValueError):
    """The repository's configurations are for another kind of model; the text says which."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A version that is being written: two folders, `vision` and `text`."""

    version: int
    vision: Path
    text: Path

    def fingerprint(self, image: PixelSpec, text: TextSpec) -> str:
        """16 hexadecimal digits of everything that embeddings depend on."""
        digest = hashlib.sha256()
        for folder in (self.vision, self.text):
            for name in _HASHED:
                if (folder / name).is_file():
                    digest.update(name.encode())
                    with (folder / name).open("rb") as file:
                        digest.update(hashlib.file_digest(file, "sha256").digest())
        specs = {"image": asdict(image), "text": asdict(text)}
        digest.update(json.dumps(specs, sort_keys=True).encode())
        return digest.hexdigest()[:16]

    def byte_count(self) -> int:
        """Of both folders."""
        paths = [path for folder in (self.vision, self.text) for path in folder.rglob("*")]
        return sum(path.stat().st_size for path in paths if path.is_file())


@contextmanager
def drafted(out: Path, version: int, *, replace: bool = False) -> Iterator[Draft]:
    """Two empty folders that become a version when the block ends well, and vanish otherwise.

    Args:
        out: the model repository.
        version: its number.
        replace: a version of that number may exist; it is there until the new one is whole.

    Raises:
        FileExistsError: it exists, and `replace` is not set.
    """
    homes = [out / encoder for encoder in _ENCODERS]
    for home in homes:
        if (home / str(version)).exists() and not replace:
            raise FileExistsError(
                f"{home.name} has a version {version} already; free is {next_version(out)}"
            )
    draft = Draft(version, *(home / f".draft-{version}-{os.getpid()}" for home in homes))
    for folder in (draft.vision, draft.text):
        _sweep(folder.parent)
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(_MODEL_PY, encoding="utf-8")
    moved = []
    try:
        yield draft
        for folder in (draft.text, draft.vision):
            place = folder.with_name(str(version))
            if place.exists():
                old = place.with_name(f".old-{version}")
                shutil.rmtree(old, ignore_errors=True)
                place.rename(old)
                moved.append(old)
            folder.rename(place)
    finally:
        for folder in (draft.vision, draft.text, *moved):
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Removes drafts of exports that were killed."""
    for path in home.glob(".draft-*-*"):
        number = int(path.name.rpartition("-")[2])
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except PermissionError:
            continue  # somebody else's, and running


def next_version(out: Path) -> int:
    """One more than the greatest number that either encoder has; 1 in a new repository."""
    taken = [
        int(path.name)
        for encoder in _ENCODERS
        for path in (out / encoder).glob("*")
        if path.name.isdigit()
    ]
    return max(taken, default=0) + 1


def require_fit(out: Path, side: int, dimension: int) -> None:
    """One configuration holds for all versions, so all must have the same sizes.

    Raises:
        RepositoryMismatch: `out` serves models of other sizes.
    """
    for encoder, name, wanted in (
        (VISION, "pixels", [side, side, 3]),
        (VISION, "embedding", [dimension]),
        (TEXT, "embedding", [dimension]),
    ):
        path = out / encoder / "config.pbtxt"
        if not path.is_file():
            continue
        found = re.search(
            rf'name:\s*"{name}"[^}}]*dims:\s*\[([^\]]*)\]', path.read_text(encoding="utf-8")
        )
        sizes = [int(number) for number in re.findall(r"-?\d+", found[1])] if found else []
        if sizes != wanted:
            raise RepositoryMismatch(
                f"{path.parent.name}/config.pbtxt of {out.name} has {name} of {sizes}, this model "
                f"{wanted}: versions of one repository share their sizes. Write to another --out"
            )


def write_configs(
    out: Path,
    side: int,
    dimension: int,
    *,
    rows: tuple[int, int] = MOST_ROWS,
    names: tuple[str, ...],
) -> None:
    """Writes the configurations that a repository does not have yet; never changes one.

    Args:
        out: the model repository.
        side: of the square pictures, in pixels.
        dimension: of embeddings.
        rows: pictures and phrases that one call may hold on a CPU; see `most_rows`.
        names: "onnxruntime", "tensorrt", ...: further configurations, for `--model-config-name`.
    """
    templates = files("inkling_training.export") / "templates"
    sizes = {"@SIDE@": side, "@DIMENSION@": dimension, "@MAX_BATCH@": MAX_BATCH}
    for encoder, most in zip(_ENCODERS, rows, strict=True):
        sizes["@MOST_ROWS@"] = most
        for name in ("config.pbtxt", *(f"configs/{name}.pbtxt" for name in names)):
            path = out / encoder / name
            if path.exists():
                continue
            text = (templates / encoder / name).read_text(encoding="utf-8")
            for mark, size in sizes.items():
                text = text.replace(mark, str(size))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def most_rows(picture_flops: float, phrase_flops: float) -> tuple[int, int]:
    """How many pictures and phrases one call may hold, so that it ends soon on a few cores.

    Whoever watches the encoders takes one that ends nothing for seconds for hung, and a picture
    that comes alone waits for the call before it. Powers of two, at most MOST_ROWS.

    Args:
        picture_flops: floating-point operations for one picture.
        phrase_flops: for one phrase.
    """
    rows = list(MOST_ROWS)
    for place, flops in enumerate((picture_flops, phrase_flops)):
        while rows[place] > 1 and rows[place] * flops > _MOST_FLOPS[place]:
            rows[place] //= 2
    return rows[0], rows[1]


def write_tokenizer(tokenizer: Any, spec: TextSpec, path: Path) -> None:
    """Saves a fast tokenizer that cuts where the model does and pads to the longest of a batch."""
    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.enable_truncation(spec.max_tokens)
    plain.enable_padding(pad_id=spec.pad_id, pad_token=tokenizer.pad_token or "[PAD]")
    plain.save(str(path), pretty=False)


def write_manifest(
    draft: Draft, name: str, image: PixelSpec, text: TextSpec, dimension: int
) -> str:
    """Writes manifest.json; returns the fingerprint."""
    fingerprint = draft.fingerprint(image, text)
    manifest = {
        "name": name,
        "version": draft.version,
        "fingerprint": fingerprint,
        "dimension": dimension,
        "image": asdict(image),
        "text": asdict(text),
    }
    write_json(draft.vision / "manifest.json", manifest)
    return fingerprint


def write_calibration(draft: Draft, calibration: Calibration) -> None:
    """Writes calibration.json."""
    document = TypeAdapter(Calibration).dump_python(calibration, mode="json")
    write_json(draft.vision / "calibration.json", document)


def write_json(path: Path, document: object) -> None:
    """Indented, with a newline at the end."""
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
