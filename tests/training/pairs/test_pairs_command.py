"""From content to shards and back."""

import io
import json
import pickle
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inkling_server.interests.snapshot import save_snapshot
from inkling_training.data import load_records
from inkling_training.pairs import PairsDamaged, open_pairs
from inkling_training.pairs.__main__ import main
from inkling_training.pairs.mining import MiningSettings, mine
from inkling_training.pairs.report import judge
from inkling_training.pairs.shards import OutputOccupied, write_pairs
from tests.training.pairs.small_graph import INTERESTS, item, picture, small_graph, write_content

pytestmark = pytest.mark.training

Run = Callable[..., int]


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    folder.mkdir()
    for number in range(12):
        name = "JPEG" if number % 2 else "PNG"
        (folder / f"p{number}.{name.lower()}").write_bytes(picture(number, name))
    lines = [
        {
            "id": f"post.{number}/ü",
            "caption": "A dog and a ball in the park" if number % 2 else "Pizza! #beach",
            "comments": ["nice cat"],
            "picture": f"p{number}.{'jpeg' if number % 2 else 'png'}",
            "author_id": f"secret-author-{number}",
            **({"tags": ["Dog", "Poodle"], "class": "dog"} if number == 1 else {}),
        }
        for number in range(12)
    ]
    write_content(folder, [*lines, "{broken", {"id": "none", "caption": "dog", "picture": "no"}])
    return folder


@pytest.fixture
def run(tmp_path: Path, content: Path) -> Run:
    save_snapshot(small_graph(), tmp_path / "graph")

    def run(*more: str, out: str = "out") -> int:
        common = ["--content", str(content), "--graph", str(tmp_path / "graph")]
        return main([*common, "--out", str(tmp_path / out), *more])

    return run


def test_content_becomes_pairs(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    pairs = open_pairs(tmp_path / "out", verify=True)
    assert len(pairs) == 12
    assert pairs.manifest["skipped"] == {"line is not JSON": 1, "picture is missing": 1}
    samples = {sample.key: sample for sample in pairs}
    tagged = samples["user_generated/post.1/ü"]
    assert [(p.interest_id, p.weight, p.sources) for p in tagged.pairs] == [
        ("dog", 1.0, ("caption", "tag")),
        ("poodle", 1.0, ("tag",)),
        ("ball", 0.75, ("caption",)),
        ("park", 0.75, ("caption",)),
        ("cat", 0.2, ("comment",)),
    ]
    assert tagged.tags == ("dog", "poodle")
    assert tagged.has_gold_tags
    assert tagged.label == "dog"
    assert tagged.picture == picture(1, "JPEG")
    other = samples["user_generated/post.3/ü"]
    assert other.tags == ("ball", "dog", "park")
    assert not other.has_gold_tags
    assert "cat" not in other.negatives
    assert set(other.negatives) <= {"wolf", "poodle"}
    assert not {pair.interest_id for pair in other.pairs} & set(other.random_negatives)
    printed = capsys.readouterr().out
    assert "12 pictures" in printed
    assert "secret-author" not in (tmp_path / "out" / "manifest.json").read_text()
    shard = (tmp_path / "out" / "images" / "pairs-000000.tar").read_bytes()
    assert b"secret-author" not in shard
    assert b"nice cat" not in shard


def test_same_content_and_seed_same_bytes(run: Run, tmp_path: Path) -> None:
    assert run(out="a") == run(out="b") == run("--seed", "7", out="c") == 0
    files = ["manifest.json", "index.npy", "images/pairs-000000.tar"]
    a, b, c = ([(tmp_path / out / name).read_bytes() for name in files] for out in "abc")
    assert a == b
    assert a[2] != c[2]
    assert [s.key for s in open_pairs(tmp_path / "a")] != [
        s.key for s in open_pairs(tmp_path / "c")
    ]


def test_pair_shards_are_labelled_pictures_too(run: Run, tmp_path: Path) -> None:
    run()
    records = {record.picture: record for record in load_records(tmp_path / "out")}
    assert len(records) == 12
    tagged = records[picture(1, "JPEG")]
    assert (tagged.tags, tagged.label, tagged.source) == (
        ("dog", "poodle"),
        "dog",
        "user_generated",
    )
    assert tagged.captions == ("A dog and a ball in the park",)
    assert {record.split for record in records.values()} <= {"train", "val"}


def test_webdataset_reads_the_shards(run: Run, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    run("--max-shard-mb", "0.01")
    shards = sorted(map(str, (tmp_path / "out" / "images").glob("*.tar")))
    assert len(shards) > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))
    assert len(samples) == 12
    for read, ours in zip(samples, open_pairs(tmp_path / "out"), strict=True):
        assert json.loads(read["json"])["key"] == ours.key
        assert read.get("png", read.get("jpg")) == ours.picture


def test_without_gold_tags_they_are_kept_and_judge(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--no-gold-tags") == 0
    tagged = next(sample for sample in open_pairs(tmp_path / "out") if sample.has_gold_tags)
    assert tagged.tags == ("dog", "poodle")
    assert {pair.interest_id for pair in tagged.pairs} == {"dog", "ball", "park", "cat"}
    assert "poodle" not in tagged.negatives + tagged.random_negatives
    assert '"recall_strict": 0.5' in capsys.readouterr().out


def test_precision_and_recall_count_what_they_say() -> None:
    items = [item("a", 1, caption="A dog, a pizza and a wolf.", tags=("dog", "cat"))]
    mined = mine(items, small_graph(), MiningSettings(use_gold_tags=False))
    counts = judge(mined.items, INTERESTS)["user_generated"]
    assert (counts.items, counts.mined, counts.right, counts.gold, counts.found) == (1, 3, 1, 2, 1)


def test_reposts_of_a_picture_share_what_they_name() -> None:
    items = [
        item("a", 1, caption="My dog"),
        item("b", 1, caption="Our wolf"),
        item("c", 2, caption="My dog"),
    ]
    mined = mine(items, small_graph(), MiningSettings())
    assert "wolf" not in mined.items[0].negatives
    assert "wolf" in mined.items[2].negatives


@pytest.mark.parametrize("limit", ["0.001", "0.01", "1"])
def test_any_sample_can_be_read_whatever_the_shards(run: Run, tmp_path: Path, limit: str) -> None:
    run("--max-shard-mb", limit)
    pairs = open_pairs(tmp_path / "out")
    assert pairs[-1] == pairs[len(pairs) - 1] == list(pairs)[-1]
    with pytest.raises(IndexError):
        pairs[len(pairs)]
    train, val = pairs.rows("train"), pairs.rows("val")
    assert len(train) + len(val) == len(pairs)
    assert all(pairs[int(row)].split == "train" for row in train)
    with pytest.raises(ValueError, match="train, val"):
        pairs.rows("test")
    assert sum(shard["samples"] for shard in pairs.manifest["shards"]) == len(pairs)


NUMBERS = [n % 12 for n in range(600)]

# A process of its own forks: this one may hold threads of gRPC, whose fork can hang for ever.
FORKS = """
import json, multiprocessing, sys
from pathlib import Path
from inkling_training.pairs.dataset import open_pairs

pairs = open_pairs(Path(sys.argv[1]))
numbers = json.loads(sys.argv[2])
first = pairs[0].key  # files are open when the fork comes

def keys(numbers):
    return [pairs[number].key for number in numbers]

with multiprocessing.get_context("fork").Pool(2) as processes:
    print(json.dumps(processes.map(keys, [numbers, numbers[::-1]], chunksize=1)))
"""


def test_threads_forks_and_pickles_read_at_once(run: Run, tmp_path: Path) -> None:
    run("--max-shard-mb", "0.005")
    pairs = open_pairs(tmp_path / "out")
    expected = [sample.key for sample in open_pairs(tmp_path / "out")]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: pairs[number].key, NUMBERS))
    assert found == [expected[number] for number in NUMBERS]
    forks = subprocess.run(
        [sys.executable, "-c", FORKS, str(tmp_path / "out"), json.dumps(NUMBERS)],
        capture_output=True,
        check=True,
        timeout=60,
    )
    parts = json.loads(forks.stdout)
    assert parts[0] == parts[1][::-1] == found
    copy = pickle.loads(pickle.dumps(pairs))
    assert copy[3] == pairs[3]
    pairs.close()
    assert copy[3] == pairs[3]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda out: (out / "manifest.json").unlink(), "no set of pairs"),
        (lambda out: (out / "manifest.json").write_text("{"), "cannot be read"),
        (lambda out: (out / "manifest.json").write_text("{}"), "not of a set of pairs"),
        (lambda out: _set(out, "format", 9), "format 9, and this reads format 1"),
        (lambda out: _set(out, "shards", [{"name": "../x", "bytes": 1}]), "no sound shard"),
        (lambda out: (out / "images/pairs-000000.tar").unlink(), "is missing"),
        (lambda out: (out / "images/pairs-000000.tar").write_bytes(b"x"), "should have"),
        (lambda out: (out / "index.npy").write_bytes(b"x"), "does not match"),
        (lambda out: (out / "index.npy").unlink(), "cannot be read"),
    ],
)
def test_a_damaged_set_is_refused(
    run: Run, tmp_path: Path, harm: Callable[[Path], object], message: str
) -> None:
    run()
    harm(tmp_path / "out")
    with pytest.raises(PairsDamaged, match=message):
        open_pairs(tmp_path / "out")


def _set(out: Path, name: str, value: object) -> None:
    path = out / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))


def test_verify_finds_a_changed_byte(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    assert main(["--verify", str(tmp_path / "out")]) == 0
    path = tmp_path / "out" / "images" / "pairs-000000.tar"
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    assert main(["--verify", str(tmp_path / "out")]) == 2
    assert "does not match its checksum" in capsys.readouterr().err


def test_a_sample_that_is_none_says_so(run: Run, tmp_path: Path) -> None:
    run()
    path = tmp_path / "out" / "images" / "pairs-000000.tar"
    path.write_bytes(path.read_bytes().replace(b'"pairs": [{', b'"pears": [{'))
    with pytest.raises(PairsDamaged, match=r"pairs-000000\.tar: a sample that is no pair sample"):
        open_pairs(tmp_path / "out")[0]


def test_an_older_set_is_replaced_and_anything_else_is_not(run: Run, tmp_path: Path) -> None:
    assert run() == 0
    (tmp_path / "out" / "images" / "old.tar").touch()
    assert run() == 0
    assert not (tmp_path / "out" / "images" / "old.tar").exists()
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert run() == 2
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"
    assert not list(tmp_path.glob(".draft-*"))


def test_nothing_is_left_of_a_write_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mined = mine([item("a", 1, caption="My dog")], small_graph(), MiningSettings())
    with pytest.raises(TypeError):
        write_pairs(mined.items, tmp_path / "out", {"settings": io.BytesIO()})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").touch()
    with pytest.raises(OutputOccupied):
        write_pairs(mined.items, tmp_path / "out", {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reliability", "caption=2"], "once"),
        (["--reliability", "telex=0.5"], "must be one of"),
        (["--reliability", "caption=x"], "caption=x"),
        (["--languages", "xx"], "languages must be"),
        (["--graph", "nowhere"], "no graph snapshot"),
    ],
)
def test_bad_arguments_are_explained(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


def test_reliabilities_can_be_changed(run: Run, tmp_path: Path) -> None:
    assert run("--reliability", "comment=0.05", "--reliability", "caption=0.5,0.6") == 0
    sample = next(s for s in open_pairs(tmp_path / "out") if s.key.endswith("post.3/ü"))
    assert {pair.interest_id: pair.weight for pair in sample.pairs} == {
        "ball": 0.5,
        "dog": 0.5,
        "park": 0.5,
    }


def test_extractors_leave_their_names(run: Run, tmp_path: Path) -> None:
    assert run("--extractors") == 0
    sample = next(s for s in open_pairs(tmp_path / "out") if s.key.endswith("post.3/ü"))
    assert any("tfidf" in pair.extractors for pair in sample.pairs)


def test_sample_data_gives_sensible_pairs(
    sample_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = ["--sources", "coco-mini", "public-domain-recipes"]
    arguments = ["--data", str(sample_data), "--out", str(tmp_path / "out"), *sources]
    assert main([*arguments, "--no-gold-tags"]) == 0
    pairs = {sample.key: sample for sample in open_pairs(tmp_path / "out")}
    taxi = pairs["coco-mini/coco_000000322864"]
    weights = {pair.phrase: pair.weight for pair in taxi.pairs}
    assert weights["taxi"] > 0.9
    assert weights.get("photograph", 0.0) < 0.3
    assert taxi.tags == ("car", "person")
    for sample in pairs.values():
        assert not {pair.interest_id for pair in sample.pairs} & set(sample.negatives)
    assert "precision_by_meaning" in capsys.readouterr().out
