"""Phrases to token batches, with the tokenizer that ships."""

from pathlib import Path

import pytest

from inkling_server.model_manifest import ModelManifest, TextSpec
from inkling_server.tokens import PhraseTokenizer


@pytest.fixture
def tokenizer_json(model_repository: Path, manifest: ModelManifest) -> Path:
    return model_repository / "text_encoder" / str(manifest.version) / "tokenizer.json"


def test_every_phrase_is_in_exactly_one_batch(tokenizer_json: Path) -> None:
    texts = [f"phrase {number} " * (number % 12 + 1) for number in range(50)]
    batches = PhraseTokenizer(tokenizer_json, TextSpec()).batches(texts, largest=16)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(50))
    assert max(len(batch.rows) for batch in batches) == 16


def test_rows_are_padded_to_few_lengths_and_masked(tokenizer_json: Path) -> None:
    texts = ["dog", "one two three four five six seven eight nine", "word " * 100]
    spec = TextSpec(max_tokens=32, pad_id=0)
    batches = PhraseTokenizer(tokenizer_json, spec).batches(texts, largest=1)
    assert [batch.input_ids_BL.shape[1] for batch in batches] == [8, 16, 32]
    for batch in batches:
        assert batch.input_ids_BL.shape == batch.attention_mask_BL.shape
        assert (batch.input_ids_BL[batch.attention_mask_BL == 0] == 0).all()
        assert batch.attention_mask_BL[:, 0].all()


def test_short_phrases_share_short_batches(tokenizer_json: Path) -> None:
    texts = ["word " * 30, "dog"] * 8
    batches = PhraseTokenizer(tokenizer_json, TextSpec()).batches(texts, largest=8)
    assert [batch.input_ids_BL.shape for batch in batches] == [(8, 8), (8, 32)]


def test_template_wraps_the_phrase_and_nothing_else(tokenizer_json: Path) -> None:
    spec = TextSpec(template="a photo of {}.")
    (wrapped,) = PhraseTokenizer(tokenizer_json, spec).batches(["dog"], largest=1)
    (plain,) = PhraseTokenizer(tokenizer_json, TextSpec()).batches(["a photo of dog."], largest=1)
    assert (wrapped.input_ids_BL == plain.input_ids_BL).all()
    (braces,) = PhraseTokenizer(tokenizer_json, spec).batches(["{0} {x}"], largest=1)
    assert len(braces.rows) == 1


def test_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("[]")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        PhraseTokenizer(tmp_path / "tokenizer.json", TextSpec())
