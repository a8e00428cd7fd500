"""`context.read_text` through the whole gateway: Tag and IngestContent over gRPC."""

from pathlib import Path
from typing import Any

import pytest

from inkling.v1 import (
    common_pb2,
    content_pb2,
    info_pb2,
    info_pb2_grpc,
    tagging_pb2,
    tagging_pb2_grpc,
)
from inkling_server import engine
from inkling_server.text_reading.recognizer import missing_packages
from tests.server.people.people_kit import Site, picture, site
from tests.server.test_tagging_read_text import FakeTextReader
from tests.server.text_reading.drawn import captioned


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> FakeTextReader:
    made = FakeTextReader("A green wall")
    monkeypatch.setattr(engine, "open_text_reader", lambda limits, image_limits: made)
    return made


async def sources_of(here: Site, image: bytes, **context: Any) -> dict[str, set[str]]:
    """Where each tag of a picture comes from."""
    stub: Any = tagging_pb2_grpc.TaggingServiceStub(here.channel)
    request = tagging_pb2.TagRequest(
        image=image,
        explain=True,
        top_n=100,
        min_score=0.0,
        context=common_pb2.ContentContext(**context),
    )
    response = await stub.Tag(request, timeout=60)
    return {tag.phrase: {one.source for one in tag.explanation.evidence} for tag in response.tags}


async def reads_text(here: Site) -> bool:
    stub: Any = info_pb2_grpc.InfoServiceStub(here.channel)
    return bool((await stub.GetInfo(info_pb2.GetInfoRequest(), timeout=20)).reads_text)


async def test_tag_joins_what_is_written_where_it_is_asked_to(
    tmp_path: Path, reader: FakeTextReader
) -> None:
    async with site(tmp_path, "off") as here:
        assert await reads_text(here)
        image = picture("p", "red").image
        assert (await sources_of(here, image, read_text=True))["green"] == {"overlay"}
        assert not (await sources_of(here, image, caption="red"))["green"]
        assert len(reader.calls) == 1


async def test_an_ingested_item_keeps_what_is_written(
    tmp_path: Path, database_url: str, reader: FakeTextReader
) -> None:
    async with site(tmp_path, database_url) as here:
        replies = await here.ingest(
            [picture("p1", "red", read_text=True), picture("p2", "red", caption="On a Monday")]
        )
        assert "green" in {tag.phrase for tag in replies["p1"].content.tags}
        assert "green" not in {tag.phrase for tag in replies["p2"].content.tags}
        texts = {}
        for name in ("p1", "p2"):
            request = content_pb2.GetContentRequest(content_id=name)
            stored = await here.content.GetContent(request, timeout=20)
            texts[name] = stored.item.context.overlay_text
        assert texts == {"p1": "A green wall", "p2": ""}


async def test_without_a_reader_the_flag_is_ignored(tmp_path: Path) -> None:
    async with site(tmp_path, "off", text_workers=0) as here:
        assert not await reads_text(here)
        image = captioned("coffee.png", "A green wall", 32)
        assert not (await sources_of(here, image, read_text=True))["green"]


@pytest.mark.skipif(bool(missing_packages()), reason="needs the extra ocr")
async def test_the_real_reader_finds_interests_in_a_caption(tmp_path: Path) -> None:
    async with site(tmp_path, "off", text_timeout_s=60.0) as here:
        assert await reads_text(here)
        image = captioned("coffee.png", "A green wall", 32)
        assert (await sources_of(here, image, read_text=True))["green"] == {"overlay"}
