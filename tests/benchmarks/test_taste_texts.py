"""Texts of simulated people's pictures."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.taste_texts import (
    ParagraphVectors,
    WeightedWords,
    community_titles,
    named_titles,
    naming_share,
    split_titles,
)

TITLES = {
    "cats": [f"my cat number {n}" for n in range(10)],
    "tea": [f"a cup of green tea {n}" for n in range(10)],
    "yoga": [f"stretching at dawn {n}" for n in range(10)],
}


def test_the_text_model_never_sees_a_title_that_a_picture_gets() -> None:
    learn, give = split_titles(TITLES, seed=1)

    for name, own in TITLES.items():
        assert sorted(learn[name] + give[name]) == sorted(own)


def test_a_class_speaks_with_one_community_and_never_twice_the_same() -> None:
    labels_N = np.array([4, 4, 4, 9, 9, 7])

    texts = community_titles(labels_N, [4, 9], TITLES, seed=0)

    assert texts[5] == ""
    assert len(set(texts)) == 6
    by_class = [
        {name for name, own in TITLES.items() for text in texts[part] if text in own}
        for part in (slice(0, 3), slice(3, 5))
    ]
    assert [len(names) for names in by_class] == [1, 1]
    assert by_class[0] != by_class[1]


def test_too_few_communities_or_titles_are_refused() -> None:
    with pytest.raises(ValueError, match="4 classes, but only 3 communities"):
        community_titles(np.array([0]), [0, 1, 2, 3], TITLES, seed=0)
    with pytest.raises(ValueError, match="11 pictures of a class, but only 10 titles"):
        community_titles(np.zeros(11, np.int64), [0], TITLES, seed=0)


def test_the_share_that_names_its_class_is_kept() -> None:
    labels_N = np.arange(2_000) % 2
    texts = named_titles(labels_N, ["apple", "pear"], ["something"], 0.3, seed=0)

    right = [text == ("apple", "pear")[label] for text, label in zip(texts, labels_N, strict=True)]
    assert np.mean(right) == pytest.approx(0.3, abs=0.04)
    assert {text for text, named in zip(texts, right, strict=True) if not named} == {"something"}


def test_naming_share_counts_titles_with_a_word_of_the_communitys_name() -> None:
    assert naming_share(TITLES) == pytest.approx(2 / 3)


def test_weighted_words_are_of_length_one_or_nothing() -> None:
    model = WeightedWords([title for own in TITLES.values() for title in own])

    rows = model.embed(["green tea", "zebra"])

    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 0])


def test_paragraph_vectors_repeat_and_find_the_subject() -> None:
    pytest.importorskip("gensim")
    rng = np.random.default_rng(0)
    words = [[f"a{n}" for n in range(6)], [f"b{n}" for n in range(6)]]
    texts = [" ".join(rng.choice(words[n % 2], 6)) for n in range(400)]
    models = [ParagraphVectors(texts, dimension=8, epochs=40, min_count=2) for _ in range(2)]
    asked = [" ".join(rng.choice(words[n % 2], 6)) for n in range(20)]

    first = models[0].embed(asked)
    alone = models[1].embed(asked[7:8])

    assert np.allclose(first[7], alone[0])
    cosines = first @ first.T
    same = np.add.outer(np.arange(20), np.arange(20)) % 2 == 0
    np.fill_diagonal(cosines, np.nan)
    assert np.nanmean(cosines[same]) > np.nanmean(cosines[~same]) + 0.3


def test_paragraph_vectors_are_the_same_in_another_process(repository: Path) -> None:
    pytest.importorskip("gensim")
    program = (
        "from benchmarks.taste_texts import ParagraphVectors\n"
        "texts = [f'a{n % 7} b{n % 5} c{n % 3}' for n in range(60)]\n"
        "model = ParagraphVectors(texts, dimension=4, epochs=5, min_count=2)\n"
        "print(model.embed(['a1 b2 c0']).tolist())\n"
    )

    def answer(hash_seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=repository,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert answer("1") == answer("2")
