"""Each source reads its items by name, and leaves no trace of people in the text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.interests.content import ContentItem
from inkling_server.interests.sources import (
    Passage,
    SourceText,
    UnknownSource,
    find_source,
    register_source,
    source_names,
)
from inkling_server.interests.sources.registry import _SOURCES
from inkling_server.interests.text.document import Document, Field
from inkling_server.interests.text.preprocess import preprocess

PAGE = """<!doctype html><html><head><title>The Daily - dogs</title><script>var x = "ad";</script>
<body class="page has-sidebar"><nav><a href="/">Home</a> <a href="/news">News</a></nav>
<div class="cookie-consent">We use cookies. <button>OK</button></div>
<div class="content has-sidebar"><article><h1>Dogs learn colours</h1><p class="byline">By Jo</p>
<p>Researchers in Vienna have shown that dogs &amp; wolves learn colours quickly
when they are trained with <a href="/t">treats</a>. It was the first study of its kind.</p>
<div class="related-links"><ul><li><a href="/1">Ten cats you must see</a></li></ul></div>
<p>Read more: why cats hate water</p><figure><img><figcaption>A dog.</figcaption></figure>
<blockquote>They were eager,</blockquote> said one of them, and the others agreed at once.
</article></div><aside>Buy now</aside><footer>(c) 2020 The Daily</footer></body></html>"""


def read(source: str, **fields: object) -> SourceText:
    return find_source(source).read(ContentItem(id="1", source=source, **fields))  # type: ignore[arg-type]


def caption(text: str, source: str = "user_generated") -> str:
    return "\n".join(p.text for p in read(source, caption=text).passages)


def test_sources_are_found_by_name() -> None:
    assert source_names() == ("publisher", "short_video", "user_generated")
    with pytest.raises(UnknownSource, match="short_video"):
        find_source("carrier_pigeon")
    with pytest.raises(UnknownSource):
        preprocess(ContentItem(id="1", source="carrier_pigeon"))


def test_a_new_source_is_one_class_and_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shouting:
        def read(self, item: ContentItem) -> SourceText:
            return SourceText((Passage(Field.CAPTION, item.caption.upper()),))

    monkeypatch.setitem(_SOURCES, "none", Shouting())
    monkeypatch.delitem(_SOURCES, "none")
    register_source("shouting", Shouting())
    try:
        document = preprocess(ContentItem(id="1", source="shouting", caption="hot tea"))
        assert isinstance(document, Document)
        assert document.sentences[0].text == "HOT TEA"
        with pytest.raises(ValueError, match="already"):
            register_source("shouting", Shouting())
    finally:
        del _SOURCES["shouting"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("RT @bob_x: look at u/some_one and @Jo.Doe!", "look at and !"),
        ("read https://t.co/abc?x=1 or www.x.com or bit.ly/2x now", "read or or now"),
        ("mail me.too+x@mail.example.org please", "mail please"),
        ("salt &amp; pepper <b>now</b>", "salt & pepper now"),
        ("Soooo gooood", "So good"),
        ("I love #foodielife in #NewYork!", "I love foodie life in New York!"),
        ("We are #1 #fyp here", "We are 1 here"),
        ("one\n.\n.\n---\ntwo", "one\ntwo"),
        ("5 < 6 > 4", "5 < 6 > 4"),
        ("C# and AT&T#1", "C# and AT&T#1"),
    ],
)
def test_posts_are_cleaned(text: str, clean: str) -> None:
    assert caption(text) == clean


def test_blocks_of_hashtags_stand_for_themselves_and_only_once() -> None:
    text = read(
        "user_generated",
        caption="Day at the lake. #sunset\nWith #friends today\n#LakeLife #viral #Sunset",
        hashtags=("#lakelife", "friends", "fyp", "123", ""),
        comments=("nice #spam",),
    )
    assert text.hashtags == ("lakelife", "sunset")
    assert text.passages == (
        (Field.CAPTION, "Day at the lake.\nWith friends today"),
        (Field.COMMENT, "nice spam"),
    )


def test_short_video_expands_slang_and_cleans_speech() -> None:
    text = read(
        "short_video",
        caption="grwm for a bday w/ my bestie lol",
        hashtags=("ootd", "lol"),
        transcript="[Music]\n1\n00:01:02 --> 00:01:04\n>> um so this is my makeup (cheering)",
    )
    assert text.passages[0].text == "get ready with me for a birthday with my best friend"
    assert text.passages[1].text.split() == ["so", "this", "is", "my", "makeup"]
    assert text.hashtags == ("outfit of the day",)


def test_publisher_takes_the_article_out_of_its_page() -> None:
    title, body = read("publisher", body=PAGE).passages
    assert title == (Field.TITLE, "Dogs learn colours")
    assert body.text.splitlines() == [
        "Researchers in Vienna have shown that dogs & wolves learn colours quickly when they are "
        "trained with treats. It was the first study of its kind.",
        "They were eager,",
        "said one of them, and the others agreed at once.",
    ]


def test_publisher_reads_plain_text_too() -> None:
    text = read("publisher", title="Rates &amp; fees", body="First 1 < 2.\n\nRead more: x\nSecond.")
    assert [p.text for p in text.passages] == ["Rates & fees", "First 1 < 2.\nSecond."]


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 5_000 + "x",
        '<div class="menu">' * 3_000 + "hello world " * 500,
        "<!--" * 20_000,
        "<p " + "a='" * 20_000,
        "<ul>" + "<li><a>x</a>" * 10_000,
        "&" * 50_000 + "<p>",
    ],
)
def test_hostile_pages_take_little_time(page: str) -> None:
    start = time.process_time()
    read("publisher", body=page)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "text",
    [
        *("#" * 50_000, "#a " * 20_000, "@" * 50_000, "a." * 30_000, "<" * 50_000, "🍕" * 20_000),
        *("http://" * 10_000, "aaa" * 30_000, "a-" * 30_000, "aaab" * 10_000, ", " * 30_000),
    ],
)
def test_hostile_posts_take_little_time(text: str) -> None:
    start = time.process_time()
    preprocess(ContentItem(id="1", caption=text, overlay_text=text, comments=(text,)))
    assert time.process_time() - start < 5


@given(text=st.text(max_size=120), source=st.sampled_from(["publisher", "short_video"]))
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_a_source(text: str, source: str) -> None:
    preprocess(
        ContentItem(
            id="1", source=source, caption=text, body=text, transcript=text, hashtags=(text,)
        )
    )


@given(name=st.from_regex(r"[a-z][a-z0-9_]{2,12}", fullmatch=True), after=st.sampled_from(" ,!:\n"))
@settings(max_examples=60, deadline=None)
def test_mentions_never_come_through(name: str, after: str) -> None:
    assert f"x{name}x" not in caption(f"sunset with @x{name}x{after} and friends")
