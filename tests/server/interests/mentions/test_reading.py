"""Texts are read beside the event loop, for one graph, and only where the packages are there."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from inkling_server.errors import DeadlineExceeded
from inkling_server.interests.content import ContentItem
from inkling_server.interests.mentions import item_reader, reading
from inkling_server.interests.mentions.reading import TextReaders, has_text, missing_packages
from tests.serving import make_graph

POST = ContentItem(id="x", caption="A red wall.")


@pytest.fixture
def readers() -> Iterator[TextReaders]:
    with TextReaders() as made:
        yield made


async def test_rows_are_those_of_the_graph_that_was_opened(readers: TextReaders) -> None:
    graph = make_graph()
    reader = await readers.open(graph)
    assert reader is not None
    assert reader.graph_version == graph.version
    (row,) = await reader.read(POST)
    assert graph.interests[row].phrase == "red"


async def test_nothing_is_loaded_before_the_first_text(
    readers: TextReaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set[str]()

    class Spy(item_reader.ItemReader):
        def __init__(self, *arguments: object) -> None:
            threads.add(threading.current_thread().name)
            super().__init__(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(item_reader, "ItemReader", Spy)
    first = await readers.open(make_graph("g1"))
    second = await readers.open(make_graph("g2"))
    assert not threads
    assert first is not None
    assert second is not None
    await second.read(POST)
    assert not first.is_ready
    (thread,) = threads
    assert thread.startswith("inkling-texts")
    third = await readers.open(make_graph("g3"))  # texts do come: it is ready before it serves
    assert third is not None
    assert third.is_ready


async def test_one_graph_has_one_reader(readers: TextReaders) -> None:
    assert await readers.open(make_graph()) is await readers.open(make_graph())


async def test_reading_whose_turn_comes_too_late_is_not_done(readers: TextReaders) -> None:
    reader = await readers.open(make_graph())
    assert reader is not None
    with pytest.raises(DeadlineExceeded):
        await reader.read(POST, deadline=asyncio.get_running_loop().time() - 1)
    assert not reader.is_ready


@pytest.mark.parametrize("package", ["emoji", "py3langid", "selectolax", "wordfreq"])
async def test_without_a_package_there_is_no_reader(
    readers: TextReaders, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(reading, "find_spec", lambda name: None if name == package else sys)
    assert missing_packages() == (package,)
    assert await readers.open(make_graph()) is None


def test_an_item_says_something_or_nothing() -> None:
    assert has_text(POST)
    assert has_text(ContentItem(id="x", location="Lisbon"))
    assert not has_text(ContentItem(id="x", author_id="somebody"))


def test_serving_imports_none_of_the_packages() -> None:
    blocked = ("emoji", "py3langid", "selectolax", "wordfreq", "scipy", "sklearn")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "import inkling_server.tagging, inkling_server.rpc.converters\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_reading_does_without_scipy() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('scipy', 'sklearn', 'nltk')))\n"
        "import inkling_server.interests.mentions.item_reader\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
