"""What both clients promise for single calls: the same tests run with either."""

import asyncio
import time
from pathlib import Path

import grpc
import pytest

from inkling_client import (
    ArgumentOutOfRange,
    Context,
    DeadlineExceeded,
    EncoderDown,
    Evidence,
    FileUnreadable,
    GraphVersionNotServed,
    ImageInvalid,
    ImageTooLarge,
    InklingClient,
    Overloaded,
    RetryPolicy,
    Tag,
    TagResult,
    Unavailable,
)
from inkling_client.results import Explanation
from tests.client.fake_server import (
    DOWN,
    GRAPH,
    INVALID,
    MAX_IMAGE_BYTES,
    MODEL,
    FakeInkling,
    RunningServer,
    overloaded,
    status,
)
from tests.client.one_face import AsyncFace, ClientFace, SyncFace


async def test_tag_gives_plain_values_with_their_versions(client: ClientFace) -> None:
    result = await client.tag(b"cat")
    assert result == TagResult((Tag("id:cat", "cat", 0.75),), GRAPH, MODEL)


async def test_what_the_caller_leaves_out_stays_unset(
    client: ClientFace, fake: FakeInkling
) -> None:
    await client.tag(b"cat")
    assert not fake.requests[0].HasField("top_n")
    assert not fake.requests[0].HasField("min_score")


async def test_options_reach_the_server(client: ClientFace, fake: FakeInkling) -> None:
    result = await client.tag(b"cat", top_n=3, min_score=0.0, graph_version="g1", explain=True)
    request = fake.requests[0]
    assert (request.top_n, request.min_score, request.graph_version) == (3, 0.0, "g1")
    assert request.HasField("min_score")
    assert result.tags[0].explanation == Explanation(0.25, 1.5, -0.5, 0.25, None)


async def test_texts_travel_and_their_evidence_comes_back(
    client: ClientFace, fake: FakeInkling
) -> None:
    context = Context(caption="my cat", hashtags=("cats",), comments=("ha",), source="short_video")
    result = await client.tag(b"cat", explain=True, context=context)
    sent = fake.requests[0].context
    assert (sent.caption, list(sent.hashtags), list(sent.comments)) == ("my cat", ["cats"], ["ha"])
    assert sent.source == "short_video"
    assert result.tags[0].explanation is not None
    assert result.tags[0].explanation.evidence == (Evidence("caption", 0.75, 2, "my cat"),)
    await client.tag(b"cat")
    assert not fake.requests[1].HasField("context")


async def test_a_text_that_cannot_be_sent_is_refused_without_repeating_it(
    client: ClientFace,
) -> None:
    with pytest.raises(ArgumentOutOfRange) as caught:
        await client.tag(b"cat", context=Context(caption="secret \ud83d"))
    assert "secret" not in str(caught.value)


async def test_a_path_is_read(client: ClientFace, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"cat")
    assert (await client.tag(tmp_path / "a.jpg")).tags[0].phrase == "cat"


async def test_a_missing_file_is_a_typed_error(client: ClientFace, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable) as caught:
        await client.tag(tmp_path / "none.jpg")
    assert caught.value.code is grpc.StatusCode.NOT_FOUND


async def test_a_bad_picture_is_not_sent_again(client: ClientFace, fake: FakeInkling) -> None:
    fake.script[b"text"] = [INVALID]
    with pytest.raises(ImageInvalid, match="not a picture") as caught:
        await client.tag(b"text")
    assert caught.value.reason == "IMAGE_INVALID"
    assert len(fake.requests) == 1


async def test_metadata_of_the_error_arrives(client: ClientFace, fake: FakeInkling) -> None:
    fake.script[b"cat"] = [
        status(
            grpc.StatusCode.FAILED_PRECONDITION,
            "GRAPH_VERSION_NOT_SERVED",
            metadata={"served": "g1"},
        )
    ]
    with pytest.raises(GraphVersionNotServed) as caught:
        await client.tag(b"cat", graph_version="g0")
    assert caught.value.metadata == {"served": "g1"}


async def test_a_full_server_is_asked_again_and_not_before_it_says(
    client: ClientFace, fake: FakeInkling
) -> None:
    fake.script[b"cat"] = [overloaded(0.2)]
    started_s = time.monotonic()
    assert (await client.tag(b"cat")).tags
    assert time.monotonic() - started_s >= 0.2
    assert len(fake.requests) == 2


async def test_a_wait_beyond_the_deadline_is_not_begun(
    client: ClientFace, fake: FakeInkling
) -> None:
    fake.script[b"cat"] = [overloaded(60.0)]
    started_s = time.monotonic()
    with pytest.raises(Overloaded) as caught:
        await client.tag(b"cat", timeout_s=2.0)
    assert caught.value.retry_after_s == 60.0
    assert time.monotonic() - started_s < 1.5


async def test_attempts_are_bounded(client: ClientFace, fake: FakeInkling) -> None:
    fake.script[b"cat"] = [DOWN] * 50
    with pytest.raises(EncoderDown):
        await client.tag(b"cat")
    assert len(fake.requests) == 8


async def test_a_passed_deadline_is_not_tried_again(client: ClientFace, fake: FakeInkling) -> None:
    fake.hung.add(b"cat")
    with pytest.raises(DeadlineExceeded):
        await client.tag(b"cat", timeout_s=0.2)
    assert len(fake.requests) == 1


async def test_nobody_there_is_unavailable(client: ClientFace, server: RunningServer) -> None:
    server.stop()
    with pytest.raises(Unavailable) as caught:
        await client.tag(b"cat", timeout_s=1.0)
    assert caught.value.reason == "UNAVAILABLE"


async def test_a_call_outlives_a_restart_of_the_server(
    client: ClientFace, server: RunningServer
) -> None:
    await client.tag(b"cat")
    server.stop()
    call = asyncio.create_task(client.tag(b"dog"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(call), 0.2)
    server.start()
    assert (await call).tags[0].phrase == "dog"


async def test_a_picture_over_the_servers_limit_does_not_travel(
    client: ClientFace, fake: FakeInkling
) -> None:
    with pytest.raises(ImageTooLarge) as caught:
        await client.tag(bytes(MAX_IMAGE_BYTES + 1))
    assert caught.value.metadata["allowed"] == str(MAX_IMAGE_BYTES)
    assert fake.requests == []


async def test_the_transports_own_limit_is_the_same_error(
    client: ClientFace, fake: FakeInkling
) -> None:
    fake.limits.max_image_bytes = 100 * 2**20  # a server that promises more than it takes
    with pytest.raises(ImageTooLarge):
        await client.tag(bytes(7 * 2**20))


async def test_info_is_plain_values(client: ClientFace) -> None:
    info = await client.get_info()
    assert info.limits.max_image_bytes == MAX_IMAGE_BYTES
    assert info.defaults.top_n == 5
    assert info.encoders[0].runtime == "fake, bf16"
    assert info.calibrated_time is not None
    assert info.calibrated_time.isoformat() == "2026-09-21T14:13:20+00:00"


async def test_health_follows_the_standard_service(
    client: ClientFace, server: RunningServer
) -> None:
    assert await client.is_serving()
    server.health.enter_graceful_shutdown()
    assert not await client.is_serving()
    server.stop()
    assert not await client.is_serving()


@pytest.mark.parametrize("face", [SyncFace, AsyncFace])
async def test_encrypted_channel(face: type[SyncFace] | type[AsyncFace]) -> None:
    # Loopback credentials: the same code path as TLS without a certificate to keep fresh.
    server = RunningServer(grpc.local_server_credentials())
    client = face(server.target, credentials=grpc.local_channel_credentials())
    assert (await client.tag(b"cat")).tags
    await client.close()
    server.stop()


def test_sync_client_closes_with_its_block(server: RunningServer) -> None:
    with InklingClient(server.target, retry=RetryPolicy(max_attempts=1)) as client:
        client.tag(b"cat")
    with pytest.raises(ValueError, match="closed channel"):
        client.tag(b"cat")
