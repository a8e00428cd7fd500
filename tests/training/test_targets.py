"""Targets hold gold tags, what they imply and a teacher's guesses; gold knows what nobody can
judge.
"""

import numpy as np
import pytest
import torch

from inkling_server.interests.graph import Interest
from inkling_training.data import Record
from inkling_training.gold import EVERYDAY, build_gold
from inkling_training.targets import build_targets

pytestmark = pytest.mark.training

PHRASES = ["animal", "beach", "cat", "dog", "grass", "outdoors", "pet", "puppy"]
INTERESTS = [Interest(phrase, phrase) for phrase in PHRASES]
ROW = {phrase: row for row, phrase in enumerate(PHRASES)}
CLASSES = ["background", "golden retriever, retriever", "cat"]


def _record(
    source: str = "caltech-101", tags: tuple[str, ...] = (), captions: tuple[str, ...] = ()
) -> Record:
    return Record(f"{source}/x", source, "train", b"", tags, None, captions)


def test_gold_tags_bring_what_they_imply() -> None:
    targets = build_targets([_record(tags=("golden retriever",))], INTERESTS, CLASSES, torch.eye(8))
    implied_V = targets.implied_NV.toarray()[0]
    assert implied_V[ROW["dog"]] == implied_V[ROW["animal"]] == 1.0
    assert 0 < implied_V[ROW["grass"]] < 1
    assert implied_V[ROW["beach"]] == 0


def test_teacher_speaks_where_it_is_trusted() -> None:
    records = [_record(), _record("stickers-emoji")]
    targets = build_targets(records, INTERESTS, CLASSES, torch.eye(8))
    teacher_BK = torch.tensor([[0.0, 0.5, 0.5]]).repeat(2, 1)
    soft_BV, weights_BV = targets.batch(np.array([0, 1]), teacher_BK, unlabelled=0.3)
    assert 0.4 < soft_BV[0, ROW["dog"]] <= 0.5
    assert soft_BV[1].max() == 0
    assert weights_BV[0, ROW["dog"]] == 1
    assert weights_BV[0, ROW["beach"]] == pytest.approx(0.3)


def test_names_too_close_to_a_gold_tag_are_no_negatives() -> None:
    embeddings_VD = torch.eye(8)
    embeddings_VD[ROW["puppy"]] = embeddings_VD[ROW["dog"]]
    targets = build_targets([_record(tags=("dog",))], INTERESTS, CLASSES, embeddings_VD)
    _, weights_BV = targets.batch(np.array([0]), torch.zeros(1, 3), unlabelled=0.3)
    assert weights_BV[0, ROW["puppy"]] == 0
    assert weights_BV[0, ROW["dog"]] == 1


def test_captions_name_gold_only_where_they_describe() -> None:
    captions = ("A dog runs on the beach.",)
    records = [_record(EVERYDAY, captions=captions), _record("grocery-store", captions=captions)]
    gold = build_gold(records, INTERESTS, np.eye(8, dtype=np.float32))
    assert [PHRASES[row] for row in np.flatnonzero(gold.strict_BV[0])] == ["beach", "dog"]
    assert not gold.strict_BV[1].any()


def test_broad_gold_leaves_out_what_nobody_can_judge() -> None:
    gold = build_gold([_record(tags=("golden retriever",))], INTERESTS, np.eye(8, dtype=np.float32))
    assert gold.broad_BV[0, ROW["dog"]]
    assert not gold.counted_BV[0, ROW["grass"]]
    assert gold.counted_BV[0, ROW["beach"]]
    assert not gold.broad_BV[0, ROW["beach"]]
