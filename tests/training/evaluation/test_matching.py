"""Retrieval, classes and look-alikes on embeddings that can be counted by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from inkling_training.data import Record
from inkling_training.evaluation import inputs, matching
from inkling_training.exported import Embeddings

pytestmark = pytest.mark.training

AXES = np.eye(4, dtype=np.float32)
TEXTS = {"north": AXES[0], "east": AXES[1], "south": AXES[2], "both": (AXES[0] + AXES[1]) / 2**0.5}


def _encode(texts: Sequence[str]) -> Embeddings:
    return np.stack([TEXTS[text] for text in texts])


def _record(number: int, name: str, label: str | None = "", source: str = "photos") -> Record:
    return Record(f"{source}/{number}", source, "val", b"", (name,), label)


def test_ranks_both_ways_by_hand() -> None:
    pictures_BD = np.stack([AXES[0], AXES[0], AXES[2]])
    ranks = matching.retrieval(pictures_BD, [["north"], ["east"], ["south", "east"]], _encode)
    # the second picture looks north: "north" is nearer, and "south" as far as its own "east"
    assert ranks.of_pictures_B.tolist() == [1, 3, 1]
    # "north": the second picture is as near as the first
    assert ranks.of_texts_T.tolist() == [2, 2, 1]
    figures = ranks.figures()
    assert figures["captions"] == 3
    assert figures["image->text R@1"] == pytest.approx(2 / 3)
    assert figures["text->image R@5"] == 1
    ratios = ranks.ratios()
    assert ratios["image->text R@1"].value == pytest.approx(figures["image->text R@1"])
    assert ratios["text->image R@1"].value == pytest.approx(figures["text->image R@1"])


def test_model_that_sees_nothing_finds_nothing() -> None:
    pictures_BD = np.tile(AXES[3], (20, 1))
    captions = [[f"caption {n}"] for n in range(20)]
    ranks = matching.retrieval(
        pictures_BD, captions, lambda texts: np.tile(AXES[3], (len(texts), 1))
    )
    assert ranks.figures()["image->text R@10"] == 0
    assert ranks.figures()["text->image R@10"] == 0


def test_classed_sources_have_one_label_a_picture_and_several_pictures_a_class() -> None:
    photos = [_record(n, ("north", "east")[n % 2]) for n in range(6)]
    stickers = [_record(n, str(n), source="stickers") for n in range(6)]  # a class each
    unlabelled = [_record(n, "north", None, "recipes") for n in range(4)]
    found = matching.classed_sources([*photos, *stickers, *unlabelled])
    assert list(found) == ["photos"]
    assert found["photos"].tolist() == [True] * 6 + [False] * 10


def test_accuracy_and_look_alikes_weigh_parts_alike() -> None:
    names = ["north", "north", "east", "east"]
    first = [_record(n, name) for n, name in enumerate(names)]
    second = [_record(n, name, source="shop") for n, name in enumerate(names * 2)]
    right_BD = np.stack([TEXTS[name] for name in names])
    wrong_BD = np.tile(AXES[0], (8, 1))  # the shop's pictures all look north
    pictures_BD = np.concatenate([right_BD, wrong_BD])
    figures, mean = matching.class_accuracy(pictures_BD, [*first, *second], _encode)
    assert figures["photos"] == {"classes": 2, "pictures": 4, "top1": 1.0}
    assert figures["shop"]["top1"] == 0.5
    assert mean is not None
    assert mean.value == pytest.approx(0.75)
    clusters, mean = matching.clustering(pictures_BD, [*first, *second])
    assert clusters["photos"]["mAP"] == pytest.approx(1)
    assert clusters["shop"]["mAP"] < 0.6
    assert mean is not None
    assert mean.value == pytest.approx((1 + clusters["shop"]["mAP"]) / 2)


def test_no_classes_no_figures() -> None:
    records = [_record(n, str(n)) for n in range(4)]
    assert matching.class_accuracy(AXES, records, _encode) == ({}, None)
    assert matching.clustering(AXES, records) == ({}, None)


def test_unseen_classes_are_told_among_all_and_among_themselves() -> None:
    names = ["north", "north", "east", "east", "south", "south"]
    records = [
        Record(f"photos/{n}", "photos", "train", name.encode(), (name,), name)
        for n, name in enumerate(names)
    ]

    def encode_pictures(pictures: Sequence[bytes]) -> Embeddings:
        # what was never seen looks a little more like north than like itself
        return np.stack([0.8 * AXES[0] + 0.6 * TEXTS[p.decode()] for p in pictures])

    found = matching.unseen_classes(records, {"east", "south"}, encode_pictures, _encode)
    assert found["photos"]["pictures"] == 4
    assert (found["photos"]["all classes"], found["photos"]["unseen classes"]) == (3, 2)
    assert found["photos"]["top1 of all"] == 0
    assert found["photos"]["top1 of unseen"] == 1
    assert matching.unseen_classes(records, {"nowhere"}, encode_pictures, _encode) == {}


def test_shortened_embeddings_have_length_one() -> None:
    short = inputs.shorten(np.array([[3.0, 4.0, 12.0]], dtype=np.float32), 2)
    assert short[0].tolist() == pytest.approx([0.6, 0.8])
    with pytest.raises(inputs.InputsInvalid, match="3 dimensions: cannot be cut to 4"):
        inputs.shorten(np.zeros((1, 3), dtype=np.float32), 4)
