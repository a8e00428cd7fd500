"""TagStream over a real connection: one reply for each request, whatever happens to one of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeAlias

import grpc
import pytest

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from tests.server.gateway_kit import jpeg
from tests.server.rpc.conftest import StartGateway
from tests.server.rpc.rpc_kit import decode, decode_error, item, metric, request
from tests.serving import until

Stub: TypeAlias = "tagging_pb2_grpc.TaggingServiceAsyncStub"
Item: TypeAlias = tagging_pb2.TagStreamRequest
Reply: TypeAlias = tagging_pb2.TagStreamResponse


async def talk(stub: Stub, items: Iterable[Item]) -> dict[str, Reply]:
    """Sends everything, half-closes, and collects the replies by id."""

    async def send() -> AsyncIterator[Item]:
        for each in items:
            yield each

    replies = [reply async for reply in stub.TagStream(send())]
    by_id = {reply.request_id: reply for reply in replies}
    assert len(by_id) == len(replies)
    return by_id


async def test_two_hundred_pictures_with_failures_inside(tagging: Stub) -> None:
    broken = {
        0: tagging_pb2.TagRequest(image=b"not a picture at all"),
        1: tagging_pb2.TagRequest(image=jpeg()[:100]),
        2: tagging_pb2.TagRequest(),
        3: request(top_n=1_000),
        4: request(graph_version="none"),
    }
    expected = {
        0: "IMAGE_INVALID",
        1: "IMAGE_INVALID",
        2: "IMAGE_INVALID",
        3: "ARGUMENT_OUT_OF_RANGE",
        4: "GRAPH_VERSION_NOT_SERVED",
    }
    colours = ["red", "green", "blue"]
    items = [
        Item(request_id=str(n), request=broken.get(n % 10) or request(colours[n % 3]))
        for n in range(200)
    ]
    replies = await talk(tagging, items)
    assert len(replies) == 200
    for n in range(200):
        reply = replies[str(n)]
        if n % 10 in expected:
            assert decode(reply.error).reason == expected[n % 10]
        else:
            assert reply.response.tags[0].interest_id == colours[n % 3]
            assert reply.response.graph_version


async def test_error_of_an_item_is_the_status_of_a_unary_call(tagging: Stub) -> None:
    replies = await talk(tagging, [item("a", top_n=0)])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await tagging.Tag(request(top_n=0))
    assert decode(replies["a"].error) == decode_error(caught.value)


async def test_request_id_may_have_128_characters_and_no_more(tagging: Stub) -> None:
    longest = "ü" * 128
    replies = await talk(tagging, [item(longest), item("x" * 129)])
    assert replies[longest].response.tags
    refused = decode(replies["x" * 128].error)
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "ARGUMENT_OUT_OF_RANGE")
    assert refused.metadata["field"] == "request_id"


async def test_request_ids_need_not_be_unique_or_there_at_all(tagging: Stub) -> None:
    async def send() -> AsyncIterator[Item]:
        for request_id in ("", "", "a", "a"):
            yield item(request_id)

    replies = Counter([reply.request_id async for reply in tagging.TagStream(send())])
    assert replies == {"": 2, "a": 2}


async def test_too_large_picture_does_not_end_the_stream(start_gateway: StartGateway) -> None:
    async with (
        start_gateway(max_image_bytes=50_000) as gateway,
        grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
    ):
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        large = Item(request_id="large", request=tagging_pb2.TagRequest(image=bytes(900_000)))
        replies = await talk(stub, [item("a"), large, item("b")])
        assert decode(replies["large"].error).reason == "IMAGE_TOO_LARGE"
        assert replies["a"].response.tags
        assert replies["b"].response.tags


async def test_bytes_that_are_no_message_do_not_end_the_stream(
    channel: grpc.aio.Channel,
) -> None:
    call: Any = channel.stream_stream("/inkling.v1.TaggingService/TagStream")(
        _each([b"\xff\xff", item("a").SerializeToString()])
    )
    replies = [Reply.FromString(data) async for data in call]
    by_id = {reply.request_id: reply for reply in replies}
    assert decode(by_id[""].error).reason == "ARGUMENT_OUT_OF_RANGE"
    assert by_id["a"].response.tags


async def test_encoder_that_fails_for_a_while_fails_items_only(
    tagging: Stub, encoder: FakeEncoder
) -> None:
    call = tagging.TagStream()
    encoder.failure = EncoderDown("broken for now")
    await call.write(item("a"))
    first = await _read(call)
    assert decode(first.error).reason == "ENCODER_DOWN"
    encoder.failure = None
    await call.write(item("b"))
    second = await _read(call)
    assert second.response.tags
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_replies_arrive_while_the_client_still_sends(tagging: Stub) -> None:
    call = tagging.TagStream()
    for n in range(5):
        await call.write(item(str(n)))
        assert (await _read(call)).request_id == str(n)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_full_stream_pushes_back_through_flow_control(
    start_gateway: StartGateway, encoder: FakeEncoder
) -> None:
    async with (
        start_gateway(max_stream_in_flight=4) as gateway,
        grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
    ):
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        # 600 KB each: a few of them fill every buffer on the way.
        padding = bytes(600_000)
        sent = 0

        async def send() -> AsyncIterator[Item]:
            nonlocal sent
            for n in range(40):
                yield Item(
                    request_id=str(n), request=tagging_pb2.TagRequest(image=jpeg() + padding)
                )
                sent += 1

        encoder.gate.clear()
        call = stub.TagStream(send())

        seen: list[int] = []

        def blocked() -> bool:
            seen.append(sent)
            return len(seen) > 30 and seen[-30] == sent > 0

        await until(blocked)
        assert sent < 40
        assert await metric(gateway, "inkling_pictures_under_way") == 4
        encoder.gate.set()
        assert len([reply async for reply in call]) == 40
        assert max(encoder.image_batches) <= 5  # the canary may join a batch


async def test_streams_wait_on_a_full_server_and_leave_room_for_unary_calls(
    start_gateway: StartGateway, encoder: FakeEncoder
) -> None:
    async with (
        start_gateway(max_queue_count=8) as gateway,
        grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
    ):
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        encoder.gate.clear()
        streaming = asyncio.ensure_future(talk(stub, [item(str(n)) for n in range(30)]))

        async def streams_are_full() -> bool:
            return await metric(gateway, "inkling_pictures_under_way") == 6

        await until(streams_are_full)
        unary = asyncio.ensure_future(_tag(stub))

        async def unary_is_in() -> bool:
            return await metric(gateway, "inkling_pictures_under_way") == 7

        await until(unary_is_in)
        encoder.gate.set()
        assert (await unary).tags
        replies = await streaming
        assert all(reply.WhichOneof("result") == "response" for reply in replies.values())


async def test_cancelled_streams_cancel_their_work_and_leave_nothing_behind(
    gateway: Gateway, tagging: Stub, encoder: FakeEncoder
) -> None:
    await talk(tagging, [item("warm")])
    before = len(asyncio.all_tasks())
    encoder.gate.clear()
    calls = []
    for _ in range(10):
        call = tagging.TagStream()
        for n in range(3):
            await call.write(item(str(n)))
        calls.append(call)

    async def under_way() -> bool:
        return await metric(gateway, "inkling_pictures_under_way") == 30

    await until(under_way)
    for call in calls:
        call.cancel()

    async def quiet() -> bool:
        return (
            await metric(gateway, "inkling_pictures_under_way") == 0
            and await metric(gateway, "inkling_rpcs_under_way") == 0
        )

    await until(quiet)
    encoder.gate.set()
    del calls, call
    await until(lambda: len(asyncio.all_tasks()) <= before + 2)
    assert (await talk(tagging, [item("after")]))["after"].response.tags


async def test_client_that_vanishes_is_cleaned_up(gateway: Gateway, encoder: FakeEncoder) -> None:
    encoder.gate.clear()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}")
    call = tagging_pb2_grpc.TaggingServiceStub(channel).TagStream()
    await call.write(item("a"))

    async def under_way() -> bool:
        return await metric(gateway, "inkling_pictures_under_way") == 1

    await until(under_way)
    await channel.close()

    async def quiet() -> bool:
        return await metric(gateway, "inkling_rpcs_under_way") == 0

    await until(quiet)
    encoder.gate.set()


async def test_deadline_of_a_stream_ends_it(tagging: Stub, encoder: FakeEncoder) -> None:
    encoder.gate.clear()
    call = tagging.TagStream(timeout=0.2)
    await call.write(item("a"))
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    encoder.gate.set()


async def test_drain_answers_what_was_read_and_says_that_the_rest_was_not(
    start_gateway: StartGateway, encoder: FakeEncoder
) -> None:
    async with start_gateway() as gateway:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}")
        call = tagging_pb2_grpc.TaggingServiceStub(channel).TagStream()
        encoder.gate.clear()
        for n in range(5):
            await call.write(item(str(n)))

        async def under_way() -> bool:
            return await metric(gateway, "inkling_pictures_under_way") == 5

        await until(under_way)
        gateway.stop()
        await gateway.wait_until_stopping()
        encoder.gate.set()
        replies = [await _read(call) for _ in range(5)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        await channel.close()
    assert sorted(reply.request_id for reply in replies) == ["0", "1", "2", "3", "4"]
    assert all(reply.response.tags for reply in replies)
    refused = decode_error(caught.value)
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")


async def _tag(stub: Stub) -> tagging_pb2.TagResponse:
    return await stub.Tag(request())


async def _each(messages: Iterable[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message


async def _read(call: Any) -> Reply:
    reply = await call.read()
    assert isinstance(reply, Reply)
    return reply
