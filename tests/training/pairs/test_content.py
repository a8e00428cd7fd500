"""Content is read whole or skipped with a reason, whatever is in the folder."""

import gzip
import json
import os
from pathlib import Path

import pytest

from inkling_server.interests.feed import MAX_LINE_BYTES
from inkling_training.data import Record
from inkling_training.pairs.content import item_of, limit_per_class, read_records
from inkling_training.pairs.content_folder import read_folder
from inkling_training.pairs.splits import assign_splits
from tests.training.pairs.small_graph import item, picture, write_content


def test_reads_items_with_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "ü 1.png").write_bytes(picture())
    write_content(
        tmp_path,
        [
            {
                "id": "p1",
                "caption": "Our dog! #goodboy @me https://x.com/1",
                "picture": "photos/ü 1.png",
                "tags": ["Dog", " dog ", "Pet"],
                "class": "dog",
                "split": "val",
                "author_id": "u7",
                "created_time": "2026-11-20T09:00:00Z",
            },
            {"user_id": "u9", "content_id": "p1", "kind": "like"},
            "",
        ],
    )
    read = read_folder(tmp_path)
    assert not read.skipped
    (one,) = read.items
    assert (one.key, one.tags, one.label, one.split) == (
        "user_generated/p1",
        ("dog", "pet"),
        "dog",
        "val",
    )
    assert one.captions == ("Our dog!",)
    assert one.content.author_id == "u7"
    assert one.read_picture() == picture()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "x", "picture": ', "line is not JSON"),
        (b"[1, 2]", "line is not a JSON object"),
        (b"\xff\xfe\x00", "line is not JSON"),
        (b"[" * 100_000, "line is not JSON"),
        (b'{"id": "x", "caption": "' + b"a" * MAX_LINE_BYTES + b'"}', "line too long"),
        ({"caption": "dog", "picture": "good.png"}, "no id, or a long one"),
        ({"id": "x", "source": "telex", "picture": "good.png"}, "unknown source"),
        ({"id": "x", "caption": 7, "picture": "good.png"}, "a text field of a wrong type"),
        ({"id": "x", "tags": "dog", "picture": "good.png"}, "tags are no list of strings"),
        ({"id": "x", "split": "test", "picture": "good.png"}, "split is neither train nor val"),
        ({"id": "x"}, "no picture"),
        ({"id": "x", "picture": 7}, "picture is no relative path"),
        ({"id": "x", "picture": "a\0b"}, "picture is no relative path"),
        ({"id": "x", "picture": "..\\secret.png"}, "picture is no relative path"),
        ({"id": "x", "picture": "../secret.png"}, "picture lies outside of the folder"),
        ({"id": "x", "picture": "a/../../secret.png"}, "picture lies outside of the folder"),
        ({"id": "x", "picture": "/etc/passwd"}, "picture lies outside of the folder"),
        ({"id": "x", "picture": "link.png"}, "picture lies outside of the folder"),
        ({"id": "x", "picture": "linked/secret.png"}, "picture lies outside of the folder"),
        ({"id": "x", "picture": "ring"}, "picture cannot be read"),
        ({"id": "x", "picture": "a" * 5_000}, "picture cannot be read"),
        ({"id": "x", "picture": "pipe"}, "picture is no file"),
        ({"id": "x", "picture": "."}, "picture is no file"),
        ({"id": "x", "picture": "missing.png"}, "picture is missing"),
        ({"id": "x", "picture": "empty.png"}, "empty picture"),
        ({"id": "x", "picture": "text.png"}, "picture cannot be decoded, or is too large"),
        ({"id": "x", "picture": "cut.jpg"}, "picture cannot be decoded, or is too large"),
    ],
)
def test_what_is_broken_is_skipped_with_a_reason(tmp_path: Path, line: object, reason: str) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(picture())
    (folder / "good.png").write_bytes(picture())
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture")
    (folder / "cut.jpg").write_bytes(picture(format_name="JPEG")[:300])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "ring").symlink_to("ring")
    os.mkfifo(folder / "pipe")
    good = {"id": "good", "caption": "A dog", "picture": "good.png"}
    write_content(folder, [line, good])
    read = read_folder(folder)
    assert dict(read.skipped) == {reason: 1}
    assert [one.key for one in read.items] == ["user_generated/good"]


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(picture())
    (tmp_path / "link.png").symlink_to("real.png")
    write_content(tmp_path, [{"id": "x", "picture": "link.png"}])
    assert len(read_folder(tmp_path).items) == 1


def test_half_an_emoji_and_a_repeated_id_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(picture())
    line = b'{"id": "x", "caption": "dog \\ud83d", "picture": "p.png"}'
    write_content(tmp_path, [line, line])
    read = read_folder(tmp_path)
    assert dict(read.skipped) == {"repeated id": 1}
    read.items[0].captions[0].encode()


def test_a_damaged_gzip_file_gives_what_it_can(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(picture())
    lines = b"".join(
        json.dumps({"id": f"{n}", "picture": "p.png", "caption": os.urandom(200).hex()}).encode()
        + b"\n"
        for n in range(500)
    )
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines)[:-5_000])
    read = read_folder(tmp_path)
    assert 0 < len(read.items) < 500
    assert read.skipped["file damaged"] == 1


def test_a_folder_without_lines_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="jsonl"):
        read_folder(tmp_path)


def test_a_changed_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(picture(1))
    write_content(tmp_path, [{"id": "x", "picture": "p.png"}])
    (one,) = read_folder(tmp_path).items
    path.write_bytes(picture(2))
    assert one.read_picture() is None
    path.unlink()
    assert one.read_picture() is None


def test_a_shop_text_is_read_as_an_article_and_a_title_as_a_title() -> None:
    advert = Record("g/1", "grocery-store", "train", b"x", ("apple",), "apple", ("Good in a pie.",))
    assert item_of(advert).content.body == "Good in a pie."
    assert item_of(advert).content.caption == ""
    recipe = Record("r/1", "recipes", "val", b"x", (), None, ("A caption.", "Soup"), "Soup")
    assert item_of(recipe).content.title == "Soup"
    assert item_of(recipe).content.caption == "A caption."


def test_unknown_parts_are_named(sample_data: Path) -> None:
    with pytest.raises(ValueError, match="coco-maxi"):
        read_records(sample_data, ["coco-mini", "coco-maxi"])


def test_limit_takes_the_same_items_whatever_their_order() -> None:
    items = [item(f"{n}", n, label="a" if n % 2 else None) for n in range(40)]
    kept = {one.key for one in limit_per_class(items, 5, seed=3)}
    assert len(kept) == 25
    assert kept == {one.key for one in limit_per_class(items[::-1], 5, seed=3)}
    assert kept != {one.key for one in limit_per_class(items, 5, seed=4)}


def test_about_a_tenth_is_for_validation_and_stays_there() -> None:
    items = [item(f"{n}", n) for n in range(1_000)]
    placed, _ = assign_splits(items)
    val = {one.key for one in placed if one.split == "val"}
    assert 60 < len(val) < 140
    fewer, _ = assign_splits(items[500:][::-1])
    later = {one.key for one in items[500:]}
    assert {one.key for one in fewer if one.split == "val"} == val & later


def test_same_picture_or_author_same_split() -> None:
    items = [item(f"{n}", n % 50, author_id=f"u{n % 70}" if n % 3 else None) for n in range(300)]
    placed, _ = assign_splits(items)
    by_picture: dict[str, set[str | None]] = {}
    by_author: dict[str | None, set[str | None]] = {}
    for one in placed:
        by_picture.setdefault(one.digest, set()).add(one.split)
        by_author.setdefault(one.content.author_id, set()).add(one.split)
    by_author.pop(None)
    assert all(len(splits) == 1 for splits in (*by_picture.values(), *by_author.values()))


def test_a_given_split_counts_and_train_wins() -> None:
    placed, moved = assign_splits(
        [
            item("a", 1, split="val"),
            item("b", 1, split="train"),
            item("c", 2, split="val"),
            item("d", 2),
        ]
    )
    assert [one.split for one in placed] == ["train", "train", "val", "val"]
    assert dict(moved) == {"val to train": 1}
