"""Shards become records, quirks of the parts included."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from inkling_training import data

pytestmark = pytest.mark.training


def _shard(path: Path, documents: dict[str, dict[str, object]]) -> None:
    with tarfile.open(path, "w") as shard:
        for stem, document in documents.items():
            for suffix, body in (
                ("webp", f"pixels of {stem}".encode()),
                ("json", json.dumps(document).encode()),
            ):
                member = tarfile.TarInfo(f"{stem}.{suffix}")
                member.size = len(body)
                shard.addfile(member, io.BytesIO(body))


def _document(source: str, **more: object) -> dict[str, object]:
    return {
        "source": source,
        "split": "train",
        "tags": [],
        "class": None,
        "caption": "",
        "title": "",
    } | more


def test_reads_pictures_with_what_was_said_of_them(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    _shard(
        tmp_path / "images" / "coco-mini-000.tar",
        {
            "a": _document(
                "coco-mini", tags=["Dog"], captions=["A dog.", "A dog.", "Two."], **{"class": "dog"}
            )
        },
    )
    _shard(
        tmp_path / "images" / "public-domain-recipes-000.tar",
        {
            "b": _document(
                "public-domain-recipes", caption="Nothing beats it!", title="Soup", split="val"
            )
        },
    )
    records = data.load_records(tmp_path)
    assert [record.key for record in records] == ["coco-mini/a", "public-domain-recipes/b"]
    assert records[0].picture == b"pixels of a"
    assert records[0].tags == ("dog",)
    assert records[0].captions == ("A dog.", "Two.")
    assert records[1].captions == ("Soup",)
    assert records[1].label is None
    assert [r.source for r in data.load_records(tmp_path, frozenset({"coco-mini"}))] == [
        "coco-mini"
    ]


def test_says_what_to_set_when_there_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKLING_SAMPLE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="INKLING_SAMPLE_DATA"):
        data.sample_data_dir()
