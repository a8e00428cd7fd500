"""Tag over a real connection: answers, every refusal, overload, deadlines, cancellation."""

import asyncio
from typing import Any, TypeAlias

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.v1 import common_pb2, tagging_pb2, tagging_pb2_grpc
from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from inkling_server.interests.sources import source_names
from inkling_server.rpc.converters import TEXT_SOURCES, to_response
from inkling_server.scoring import sigmoid
from inkling_server.tagging import Explanation, ScoredTag, TagResult
from tests.server.gateway_kit import jpeg
from tests.server.rpc.conftest import StartGateway
from tests.server.rpc.rpc_kit import metric, refusal, request
from tests.serving import until

Stub: TypeAlias = "tagging_pb2_grpc.TaggingServiceAsyncStub"


async def test_picture_gets_tags_and_both_versions(tagging: Stub) -> None:
    response = await tagging.Tag(request("blue"))
    assert response.tags[0].interest_id == "blue"
    assert response.tags[0].phrase == "blue"
    assert 0.5 < response.tags[0].score <= 1
    assert not response.tags[0].HasField("explanation")
    assert response.graph_version.startswith("2026-11-01-")
    assert response.model_version.startswith("fake:1:")


async def test_silent_request_gets_the_models_defaults(tagging: Stub) -> None:
    response = await tagging.Tag(request())
    assert len(response.tags) <= 3
    assert all(tag.score > 0.1 for tag in response.tags)


async def test_zero_threshold_differs_from_none(tagging: Stub) -> None:
    response = await tagging.Tag(request(top_n=9, min_score=0.0))
    assert len(response.tags) == 9
    scores = [tag.score for tag in response.tags]
    assert scores == sorted(scores, reverse=True)


async def test_nothing_above_the_threshold_is_an_empty_answer(tagging: Stub) -> None:
    response = await tagging.Tag(request(min_score=1.0))
    assert not response.tags
    assert response.graph_version


async def test_explanation_adds_up_to_the_score(tagging: Stub) -> None:
    response = await tagging.Tag(request(explain=True))
    explanation = response.tags[0].explanation
    assert explanation.picture_logit == pytest.approx(10 * explanation.cosine - 4, abs=1e-4)
    assert explanation.prior_logit == explanation.tag_logit == 0
    assert not explanation.HasField("calibrated_logit")


def test_explanation_with_a_curve_says_what_the_score_is_made_of() -> None:
    why = Explanation(0.25, 1.5, -0.5, 0.75, 1.25)
    tag = ScoredTag("cat", "cat", float(sigmoid(1.25)), why)
    (sent,) = to_response(TagResult((tag,), "g1", "m1")).tags
    assert sent.explanation.tag_logit == 0.75
    assert sent.explanation.calibrated_logit == 1.25
    assert sent.score == sigmoid(sent.explanation.calibrated_logit)


async def test_served_graph_version_may_be_insisted_on(tagging: Stub) -> None:
    version = (await tagging.Tag(request())).graph_version
    assert (await tagging.Tag(request(graph_version=version))).tags


@pytest.mark.parametrize(
    ("changes", "reason", "metadata_key"),
    [
        ({"image": b""}, "IMAGE_INVALID", None),
        ({"image": b"a text, renamed to .jpg"}, "IMAGE_INVALID", None),
        ({"image": jpeg()[:200]}, "IMAGE_INVALID", None),
        ({"top_n": 0}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"top_n": 101}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"min_score": -0.1}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"min_score": 1.1}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"min_score": float("nan")}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"context": {"caption": "x" * 4_001}}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"context": {"hashtags": ["x"] * 65}}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"context": {"comments": ["x" * 1_001]}}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"context": {"transcript": "x" * 100_001}}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"context": {"body": "x" * 100_001}}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"context": {"location": "x" * 201}}, "ARGUMENT_OUT_OF_RANGE", "field"),
        ({"context": {"source": "fax"}}, "ARGUMENT_OUT_OF_RANGE", "field"),
    ],
)
async def test_bad_request_is_refused_with_its_reason(
    tagging: Stub, changes: dict[str, Any], reason: str, metadata_key: str | None
) -> None:
    fields: dict[str, Any] = {"image": jpeg()} | changes
    if "context" in fields:
        fields["context"] = common_pb2.ContentContext(**fields["context"])
    refused = await refusal(tagging.Tag(tagging_pb2.TagRequest(**fields)))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", reason)
    assert metadata_key is None or metadata_key in refused.metadata
    assert "renamed" not in refused.message


async def test_context_within_its_limits_is_accepted(tagging: Stub) -> None:
    context = common_pb2.ContentContext(
        caption="x" * 4_000,
        hashtags=["x" * 100] * 64,
        overlay_text="x" * 4_000,
        comments=["x" * 1_000] * 64,
        title="x" * 1_000,
        transcript="x " * 50_000,
        location="x" * 200,
        body="x " * 50_000,
        source="publisher",
    )
    assert (await tagging.Tag(request(context=context))).tags


async def test_texts_are_joined_and_quoted(tagging: Stub) -> None:
    context = common_pb2.ContentContext(title="In the Green", comments=["green!", "so green"])
    response = await tagging.Tag(request("red", explain=True, context=context))
    tags = {tag.interest_id: tag for tag in response.tags}
    assert not tags["red"].explanation.evidence
    title, comment = tags["green"].explanation.evidence
    assert (title.source, title.mention_count, title.text) == ("title", 1, "Green")
    assert (comment.source, comment.mention_count, comment.text) == ("comment", 2, "green")
    assert 1 > title.weight > comment.weight > 0


async def test_stream_joins_texts_too(tagging: Stub) -> None:
    context = common_pb2.ContentContext(hashtags=["green"])
    stream = tagging.TagStream(
        iter(
            [
                tagging_pb2.TagStreamRequest(
                    request_id=name, request=request("red", top_n=9, min_score=0.0, context=context)
                )
                for name, context in (("with", context), ("without", None))
            ]
        )
    )
    scores = {}
    async for reply in stream:
        (green,) = (tag.score for tag in reply.response.tags if tag.interest_id == "green")
        scores[reply.request_id] = green
    assert scores["with"] > scores["without"]


async def test_refused_text_is_not_repeated(tagging: Stub) -> None:
    context = common_pb2.ContentContext(caption="secret " * 1_000)
    refused = await refusal(tagging.Tag(request(context=context)))
    assert refused.metadata["field"] == "context.caption"
    assert "secret" not in refused.message


def test_the_apis_sources_are_those_that_there_are() -> None:
    assert sorted(TEXT_SOURCES) == list(source_names())


async def test_unknown_graph_version_names_the_served_one(tagging: Stub) -> None:
    refused = await refusal(tagging.Tag(request(graph_version="1999-01-01")))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "GRAPH_VERSION_NOT_SERVED")
    assert refused.metadata["served"].startswith("2026-11-01-")


async def test_broken_encoder_is_unavailable(tagging: Stub, encoder: FakeEncoder) -> None:
    encoder.failure = EncoderDown("the encoder is broken")
    refused = await refusal(tagging.Tag(request()))
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "ENCODER_DOWN")


async def test_fault_of_ours_is_internal_and_opaque(tagging: Stub, encoder: FakeEncoder) -> None:
    encoder.failure = RuntimeError("secret of the picture")
    refused = await refusal(tagging.Tag(request()))
    assert (refused.code, refused.reason) == ("INTERNAL", "INTERNAL")
    assert "secret" not in refused.message
    assert refused.metadata["incident_id"] in refused.message


async def test_message_that_is_none_is_an_invalid_argument(channel: grpc.aio.Channel) -> None:
    tag: Any = channel.unary_unary("/inkling.v1.TaggingService/Tag")
    refused = await refusal(tag(b"\xff\xff\xff"))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "ARGUMENT_OUT_OF_RANGE")


async def test_picture_at_the_limit_passes_and_above_it_is_too_large(
    start_gateway: StartGateway,
) -> None:
    limit = 100_000
    async with (
        start_gateway(max_image_bytes=limit) as gateway,
        grpc.aio.insecure_channel(
            f"127.0.0.1:{gateway.grpc_port}", options=[("grpc.max_send_message_length", -1)]
        ) as channel,
    ):
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        # Bytes after a JPEG's end belong to nobody: they make a valid file of any length.
        padded = jpeg() + bytes(limit - len(jpeg()))
        assert (await stub.Tag(tagging_pb2.TagRequest(image=padded))).tags
        refused = await refusal(stub.Tag(tagging_pb2.TagRequest(image=padded + b"\0")))
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "IMAGE_TOO_LARGE")
        assert refused.metadata == {
            "what": "image bytes",
            "actual": str(limit + 1),
            "allowed": str(limit),
        }
        # Far above the limit gRPC itself cuts the call: no details, as documented.
        refused = await refusal(stub.Tag(tagging_pb2.TagRequest(image=bytes(3 * 1024 * 1024))))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "")
        assert (await stub.Tag(request())).tags


async def test_full_server_refuses_at_once_and_says_when_to_retry(
    start_gateway: StartGateway, encoder: FakeEncoder
) -> None:
    async with (
        start_gateway(max_queue_count=8) as gateway,
        grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
    ):
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        encoder.gate.clear()
        waiting = [asyncio.ensure_future(_tag(stub)) for _ in range(8)]

        async def full() -> bool:
            return await metric(gateway, "inkling_pictures_under_way") == 8

        await until(full)
        refused = await refusal(stub.Tag(request()))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert refused.retry_s is not None
        assert refused.retry_s > 0
        encoder.gate.set()
        assert all(response.tags for response in await asyncio.gather(*waiting))
        assert (await stub.Tag(request())).tags


async def test_crowd_of_callers_gets_answers_or_overloaded(
    start_gateway: StartGateway, encoder: FakeEncoder
) -> None:
    encoder.delay_s = 0.02
    async with (
        start_gateway(max_queue_count=8, max_batch_count=4) as gateway,
        grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
    ):
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        outcomes = await asyncio.gather(*(_tag(stub) for _ in range(100)), return_exceptions=True)
        answered = [o for o in outcomes if isinstance(o, tagging_pb2.TagResponse)]
        refused = [o for o in outcomes if isinstance(o, grpc.aio.AioRpcError)]
        assert answered
        assert refused
        assert len(answered) + len(refused) == 100
        assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}


async def test_passed_deadline_ends_the_call_and_frees_its_place(
    gateway: Gateway, tagging: Stub, encoder: FakeEncoder
) -> None:
    encoder.gate.clear()
    refused = await refusal(tagging.Tag(request(), timeout=0.1))
    assert refused.code == "DEADLINE_EXCEEDED"

    async def free() -> bool:
        return await metric(gateway, "inkling_pictures_under_way") == 0

    await until(free)
    encoder.gate.set()


async def test_cancelled_calls_leave_nothing_behind(
    gateway: Gateway, tagging: Stub, encoder: FakeEncoder
) -> None:
    await tagging.Tag(request())
    before = len(asyncio.all_tasks())
    encoder.gate.clear()
    calls = [tagging.Tag(request()) for _ in range(30)]

    async def under_way() -> bool:
        return await metric(gateway, "inkling_pictures_under_way") == 30

    await until(under_way)
    for call in calls:
        call.cancel()
    await asyncio.gather(*(_ended(call) for call in calls))
    encoder.gate.set()

    async def quiet() -> bool:
        return (
            await metric(gateway, "inkling_pictures_under_way") == 0
            and await metric(gateway, "inkling_rpcs_under_way") == 0
        )

    await until(quiet)
    await until(lambda: len(asyncio.all_tasks()) <= before + 2)
    assert (await tagging.Tag(request())).tags


@given(
    st.lists(
        st.tuples(st.text("abc-", min_size=1, max_size=8), st.floats(0, 1, width=32)), max_size=20
    )
)
def test_response_keeps_the_order_and_the_scores_of_the_result(
    pairs: list[tuple[str, float]],
) -> None:
    ordered = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    tags = tuple(ScoredTag(id_, id_.replace("-", " "), score) for id_, score in ordered)
    response = to_response(TagResult(tags, "g", "m"))
    assert [(tag.interest_id, tag.score) for tag in response.tags] == ordered


async def _tag(stub: Stub) -> tagging_pb2.TagResponse:
    return await stub.Tag(request())


async def _ended(call: Any) -> None:
    with pytest.raises(asyncio.CancelledError):
        await call
