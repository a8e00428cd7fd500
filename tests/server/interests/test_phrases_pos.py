"""Parts of speech: our tagger's rules, and NLTK's where its data is."""

import json
import sys
from pathlib import Path

import nltk
import pytest

from inkling_server.interests.phrases import tag_lexicon
from inkling_server.interests.phrases.pos import LexiconTagger, NltkTagger, installed_tagger
from inkling_server.interests.text.tokens import tokens


def tags(text: str) -> dict[str, str]:
    words = tokens(text)
    return {token.text: tag for token, tag in zip(words, LexiconTagger().tag(words), strict=True)}


def test_one_word_is_a_noun_or_a_verb_by_its_neighbours() -> None:
    assert tags("I want to play")["play"].startswith("VB")
    assert tags("the play was short")["play"].startswith("NN")
    assert tags("new to gardening")["gardening"] == "NN"


def test_unknown_words_are_told_by_their_endings() -> None:
    found = tags("a glorptious wug was blicketing quazzly")
    assert found["glorptious"] == "JJ"
    assert found["wug"] == "NN"
    assert found["blicketing"] == "VBG"
    assert found["quazzly"] == "RB"


def test_capital_tells_a_name_but_not_in_a_headline() -> None:
    assert tags("we met Green at home")["Green"] == "NNP"
    assert tags("Green Tea Keeps Old Monkeys Young")["Green"] == "JJ"


def test_numbers_and_signs_have_their_own_tags() -> None:
    found = tags("12 cats !")
    assert (found["12"], found["!"]) == ("CD", ".")


def test_empty_sentence_has_no_tags() -> None:
    assert LexiconTagger().tag(()) == []


def test_shipped_lexicon_holds_only_what_endings_do_not_tell() -> None:
    lexicon = tag_lexicon.load_lexicon()
    assert len(lexicon) > 10_000
    assert not [w for w, tag in lexicon.items() if tag_lexicon.guess_tag(w) == tag]


def test_reduction_drops_names_numbers_and_what_endings_tell() -> None:
    lines = [";;; note", "run VB", "quickly RB", "Paris NNP", "12 CD", "kind NN|JJ", "able JJ"]
    assert tag_lexicon.reduce_lexicon(lines) == {"VB": ["run"], "JJ": ["able"]}


def test_without_nltk_data_our_own_tagger_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nltk.data, "path", [])
    assert isinstance(installed_tagger(), LexiconTagger)


def test_without_nltk_our_own_tagger_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk.tag.perceptron", None)
    assert isinstance(installed_tagger(), LexiconTagger)


def test_nltk_tagger_serves_where_its_data_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "taggers" / "averaged_perceptron_tagger_eng"
    folder.mkdir(parents=True)
    content = {"weights": {}, "tagdict": {"cats": "NNS", "sleep": "VBP"}, "classes": ["NNS", "VBP"]}
    for part, value in content.items():
        path = folder / f"averaged_perceptron_tagger_eng.{part}.json"
        path.write_text(json.dumps(value), encoding="utf-8")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    tagger = installed_tagger()
    assert isinstance(tagger, NltkTagger)
    assert tagger.tag(tokens("cats sleep")) == ["NNS", "VBP"]
