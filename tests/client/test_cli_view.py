"""What people see, at several widths."""

import io

import grpc
import pytest
from rich.console import Console, RenderableType

from inkling_client import Evidence, Explanation, ImageInvalid, Tag, TagResult
from inkling_client.cli_view import (
    TagTable,
    common_folder,
    printable,
    printable_lines,
    score_bar,
    summary,
)

RESULT = TagResult(
    (
        Tag("i1", "cat whiskers", 0.91, Explanation(0.31, 2.1, -0.35, 0.2)),
        Tag("i2", "collection of antique silver coins on velvet", 0.34),
        Tag("i3", "pet", 0.004),
    ),
    "g1",
    "m1",
)
LONG = "holiday/a picture with quite a long name (2).png"
INVALID = ImageInvalid(
    "not a picture", reason="IMAGE_INVALID", code=grpc.StatusCode.INVALID_ARGUMENT
)


def draw(width: int, *parts: RenderableType, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, highlight=False)
    for part in parts:
        console.print(part)
    file.flush()
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


def table(width: int, *, explain: bool = False, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    tags = TagTable(Console(file=file, width=width), [LONG, "bad.jpg"], explain=explain)
    parts = [
        tags.header(),
        tags.picture(LONG, RESULT),
        tags.picture("bad.jpg", INVALID),
        tags.picture("dull.jpg", TagResult((), "g1", "m1")),
    ]
    return draw(width, *parts, encoding=encoding)


@pytest.mark.parametrize("score", [0.0, 0.01, 0.25, 0.5, 0.999, 1.0])
def test_a_bar_is_as_long_as_its_score(score: float) -> None:
    bar = score_bar(score, 20)
    assert len(bar) <= 20
    assert abs(bar.count("█") - score * 20) < 1
    assert bool(bar) == (score > 0)
    assert abs(len(score_bar(score, 20, blocks=False)) - score * 20) <= 1


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int, explain: bool) -> None:
    lines = table(width, explain=explain)
    assert max(len(line) for line in lines) < width
    assert max(len(line) for line in lines) <= 120


def test_long_phrases_and_names_wrap_and_bars_stay_with_their_tags() -> None:
    lines = table(80)
    text = "\n".join(lines)
    assert any("cat whiskers" in line and "91%" in line for line in lines)
    assert any("collection of" in line and "34%" in line for line in lines)
    assert any("pet" in line and "▏" in line and "0%" in line for line in lines)
    assert "velvet" in text
    assert "name (2).png" in text


def test_errors_and_empty_answers_are_said_in_words() -> None:
    text = "\n".join(table(80))
    assert "IMAGE_INVALID  not a picture" in text
    assert "no tag above the threshold" in text


def test_explanations_are_columns() -> None:
    lines = table(100, explain=True)
    assert lines[0].split()[-4:] == ["cosine", "picture", "prior", "tag"]
    assert any(line.endswith("+0.31    +2.10    -0.35    +0.20") for line in lines)
    narrow = table(60, explain=True)
    assert narrow[0].split()[-3:] == ["cosine", "picture", "prior"]


def test_evidence_stands_under_its_tag_and_cannot_steer_the_terminal() -> None:
    evidence = (Evidence("caption", 0.75, 2, "two\x1b[31m dogs"), Evidence("author", 0.2, 9))
    tags = (
        Tag("dog", "dog", 0.9, Explanation(0.3, 2.1, 0.0, 0.0, None, evidence)),
        Tag("cat", "cat", 0.5, Explanation(0.2, 1.1, 0.0)),
    )
    for width in (60, 100):
        view = TagTable(Console(width=width), ["a.png"], explain=True)
        lines = draw(width, view.picture("a.png", TagResult(tags, "g1", "m1")))
        assert "dog" in lines[0]
        assert "+ caption 75% ×2 “two\ufffd[31m dogs”, author 20% ×9"[:20] in lines[1]
        assert max(len(line) for line in lines) < width
        assert any("cat" in line and "50%" in line for line in lines)
    silent = TagTable(Console(width=80), ["a.png"]).picture("a.png", TagResult(tags, "g1", "m1"))
    assert "caption" not in "\n".join(draw(80, silent))


def test_terminals_without_blocks_get_ascii() -> None:
    assert any("#" in line for line in table(80, encoding="ascii"))


def test_names_of_files_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[31m\nb\u202e") == "a\ufffd[31m\ufffdb\ufffd"
    assert printable("Screenshot at 9.41\u202fAM") == "Screenshot at 9.41\u202fAM"
    assert printable_lines("a\r\nb\x1b") == "a\nb\ufffd"
    lines = draw(80, TagTable(Console(width=80), []).picture("[red]x[/red].png", RESULT))
    assert "[red]x[/red].png" in lines[0]


def test_a_long_folder_that_all_share_is_said_once() -> None:
    paths = ["/a/long/path/to/photos/of/summer/1.jpg", "/a/long/path/to/photos/of/summer/x/2.jpg"]
    tags = TagTable(Console(width=80), paths)
    lines = draw(80, tags.header(), *(tags.picture(path, RESULT) for path in paths))
    assert lines[0] == "in /a/long/path/to/photos/of/summer"
    assert any(line.startswith("1.jpg ") for line in lines)
    assert any(line.startswith("x/2.jpg ") for line in lines)


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["a/b/1", "a/c/2"], "a"),
        (["/1", "/2"], "/"),
        (["a/1", "2"], ""),
        (["a/1", "/b/2"], ""),
        (["a/1", "-"], ""),
        ([], ""),
    ],
)
def test_common_folder(paths: list[str], folder: str) -> None:
    assert common_folder(paths) == folder


def test_the_summary_counts_and_names_every_version() -> None:
    versions = {("m1", "g1"): None, ("m1", "g2"): None}
    assert draw(80, summary(1_200, 1, 2.34, versions)) == [
        "1,201 pictures · 1 failed · 2.3 s",
        "model m1 · graph g1",
        "model m1 · graph g2",
    ]
