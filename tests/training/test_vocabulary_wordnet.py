"""The reader of WordNet's database files, on a database of a few words."""

from pathlib import Path

import pytest

from inkling_training.vocabulary_wordnet import Noun, WordNet

_FILES = {
    "index.noun": """\
  1 This is a licence line.
dog n 2 1 @ 2 1 00000010 00000020
hot_dog n 1 1 @ 1 1 00000030
run n 1 1 @ 1 1 00000040
paris n 1 1 @ 1 0 00000050
glasses n 1 1 @ 1 0 00000060
glass n 1 1 @ 1 0 00000070
woman n 1 1 @ 1 1 00000080
puppy n 1 1 @ 1 1 00000090
mouse n 1 1 @ 1 1 00000100
""",
    "index.verb": "run v 3 1 @ 3 3 00000001 00000002 00000003\ndog v 1 1 @ 1 0 00000004\n",
    "index.adj": "",
    "index.adv": "",
    "data.noun": """\
  1 This is a licence line.
00000010 05 n 01 dog 0 001 @ 00000000 n 0000 | an animal @i
00000020 18 n 01 dog 0 001 @ 00000000 n 0000 | a person
00000030 13 n 01 hot_dog 0 001 @ 00000000 n 0000 | food
00000040 04 n 01 run 0 001 @ 00000000 n 0000 | act
00000050 15 n 01 Paris 0 001 @i 00000000 n 0000 | a city
00000060 06 n 01 glasses 0 001 @ 00000000 n 0000 | worn
00000070 06 n 01 glass 0 001 @ 00000000 n 0000 | drunk from
00000080 18 n 01 woman 0 001 @ 00000000 n 0000 | person
00000090 05 n 01 puppy 0 001 @ 00000000 n 0000 | dog
00000100 05 n 01 mouse 0 001 @ 00000000 n 0000 | rodent
""",
    "noun.exc": "mice mouse\n",
    "cntlist.rev": "dog%1:05:00:: 1 42\nrun%2:38:00:: 1 100\nrun%1:04:00:: 1 10\n",
}


@pytest.fixture
def wordnet(tmp_path: Path) -> WordNet:
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return WordNet(tmp_path)


def test_kind_and_share_of_a_noun(wordnet: WordNet) -> None:
    dog = wordnet.noun("dog")
    assert dog is not None
    assert (dog.kind, dog.proper) == ("animal", False)
    assert dog.share > 0.95


def test_verbs_have_a_small_noun_share(wordnet: WordNet) -> None:
    run = wordnet.noun("run")
    assert run is not None
    assert run.share < 0.2


def test_names_of_one_thing_are_proper(wordnet: WordNet) -> None:
    assert wordnet.noun("paris") == Noun("location", 1.0, proper=True)


def test_unknown_word_is_no_noun(wordnet: WordNet) -> None:
    assert wordnet.noun("instagood") is None


@pytest.mark.parametrize(
    ("form", "singular"),
    [
        ("dogs", "dog"),
        ("hot dogs", "hot dog"),
        ("women", "woman"),
        ("puppies", "puppy"),
        ("mice", "mouse"),
        ("glasses", "glasses"),
        ("dog", "dog"),
        ("instagoods", None),
    ],
)
def test_dictionary_forms(wordnet: WordNet, form: str, singular: str | None) -> None:
    assert wordnet.singular(form) == singular


def test_compounds_are_nouns_of_several_words(wordnet: WordNet) -> None:
    assert wordnet.compounds() == ["hot dog"]


def test_missing_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WordNet(tmp_path)
