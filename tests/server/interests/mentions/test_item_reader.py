"""Texts become evidence: how far each source is believed, in which words, and at what cost."""

import random
import time
from typing import Any

import pytest

from inkling_server.interests.content import ContentItem
from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.evidence import SOURCE_RELIABILITIES, Evidence
from inkling_server.interests.mentions.item_reader import MAX_ROWS, ItemReader, tamed
from inkling_server.interests.text.document import Field

INTERESTS = tuple(
    Interest(phrase.replace(" ", "-").lower(), phrase)
    for phrase in ("beach", "dog", "hot dog", "Lisbon", "park", "surfing")
)
READER = ItemReader(INTERESTS)


def evidence(*, quoting: bool = True, **texts: Any) -> dict[str, tuple[Evidence, ...]]:
    found = READER.read(ContentItem(id="x", **texts), quoting=quoting)
    return {INTERESTS[row].id: said for row, said in found.items()}


def test_every_source_speaks_for_itself_the_weightiest_first() -> None:
    (caption, hashtag, comment) = evidence(
        caption="A dog on the grass.", hashtags=("DogPark",), comments=("nice dog", "this dog!")
    )["dog"]
    assert (caption.source, caption.weight, caption.mention_count) == ("caption", 0.75, 1)
    assert (hashtag.source, hashtag.text) == ("hashtag", "DogPark")
    assert hashtag.weight == pytest.approx(0.65 * 0.6)
    assert (comment.source, comment.mention_count, comment.text) == ("comment", 2, "dog")
    assert comment.weight == pytest.approx(0.35)  # 1 - 0.8 * 0.8 is more than comments are worth


def test_a_place_is_a_source() -> None:
    (said,) = evidence(location="Lisbon")["lisbon"]
    assert (said.source, said.text) == ("location", "Lisbon")
    assert said.weight == pytest.approx(0.3)


def test_what_a_recogniser_heard_counts_as_far_as_it_is_sure() -> None:
    (sure,) = evidence(speech="my dog loves the … every summer.", speech_confidence=0.9)["dog"]
    (unsure,) = evidence(speech="my dog loves the … every summer.", speech_confidence=0.5)["dog"]
    assert (sure.source, sure.text) == ("speech", "dog")
    assert sure.weight == pytest.approx(0.2 * 0.9)
    assert unsure.weight == pytest.approx(0.2 * 0.5)
    assert evidence(speech="my dog.", speech_confidence=0.0)["dog"][0].weight > 0


def test_what_was_sent_as_a_transcript_is_believed_as_ever_beside_what_was_heard() -> None:
    said = evidence(transcript="A dog.", speech="a dog.", speech_confidence=0.5)["dog"]
    assert [one.source for one in said] == ["transcript", "speech"]
    assert [one.weight for one in said] == pytest.approx([0.25, 0.1])


def test_no_name_goes_over_words_that_were_not_understood() -> None:
    assert set(evidence(speech="a hot … dog in the park.", speech_confidence=1.0)) == {
        "dog",
        "park",
    }


@pytest.mark.parametrize("source", ["user_generated", "short_video", "publisher"])
def test_every_way_of_reading_reads_what_was_heard(source: str) -> None:
    assert "beach" in evidence(source=source, speech="we are at the beach today.")


def test_words_are_quoted_as_they_were_sent_and_only_when_asked() -> None:
    assert evidence(caption="What a day 🌭")["hot-dog"][0].text == "🌭"
    assert evidence(caption="At last! #beachlife #sun")["beach"][0].text == "#beachlife"
    assert evidence(caption="Two HOT DOGS", quoting=False)["hot-dog"][0].text == ""


def test_words_never_show_in_a_repr() -> None:
    assert "surfing" not in repr(evidence(caption="We went surfing")["surfing"])


def test_another_language_and_empty_texts_say_nothing() -> None:
    foreign = "Le chat et le dog dorment dans le jardin avec la grand-mère"
    assert evidence(caption=foreign) == {}
    assert evidence() == evidence(caption=" \n\u0000 ") == {}


def test_every_field_has_a_reliability() -> None:
    assert {field.value for field in Field} == SOURCE_RELIABILITIES.keys()


def test_weights_are_float32_and_never_certain() -> None:
    for said in evidence(title="Dog", caption="Dog. Dog. Dog.", hashtags=("dog",))["dog"]:
        assert 0 < said.weight < 1


def test_no_item_is_about_more_than_the_weightiest_interests() -> None:
    words = [
        f"word{'abcdefghij'[n % 10]}{'abcdefghij'[n // 10 % 10]}{n // 100}" for n in range(700)
    ]
    reader = ItemReader([Interest(word, word) for word in sorted(words)])
    found = reader.read(ContentItem(id="x", title=words[600], body=" and ".join(words)))
    assert len(found) == MAX_ROWS
    assert sorted(words).index(words[600]) in found


def junk(kind: str) -> str:
    choose = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz"
    if kind == "hashtags":
        return " ".join("#" + "".join(choose.choices(letters, k=70)) for _ in range(1_400))
    if kind == "emoji":
        return "🐕🎉" * 50_000
    if kind == "controls":
        return "".join(chr(choose.randrange(0, 0x3000)) for _ in range(100_000))
    return {"markup": "<a " * 33_000, "mentions": "a@b." * 25_000, "stretched": "sooo " * 20_000}[
        kind
    ]


@pytest.mark.parametrize(
    "kind", ["hashtags", "emoji", "controls", "markup", "mentions", "stretched"]
)
@pytest.mark.parametrize("source", ["user_generated", "short_video", "publisher"])
def test_hostile_texts_are_read_in_bounded_time(kind: str, source: str) -> None:
    text = junk(kind)
    item = ContentItem(id="x", caption=text[:4_000], transcript=text, body=text, source=source)
    start_s = time.process_time()
    READER.read(item, quoting=True)
    # Untamed, 1,400 hashtags alone take ten seconds; half a second is usual here.
    assert time.process_time() - start_s < 5


def test_only_what_is_long_and_says_little_is_cut() -> None:
    usual = ContentItem(id="x", caption="A dog 🐕 #dog", hashtags=("dog",), comments=("🎉",))
    assert tamed(usual) is usual
    cut = tamed(ContentItem(id="x", caption="#" + "a" * 60, hashtags=("b" * 60, "dog")))
    assert cut.caption.strip() == "a" * 60
    assert cut.hashtags == ("dog",)
