"""Start, reflection, drain, restart and two servers side by side."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import skimage.data
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from inkling.v1 import info_pb2, info_pb2_grpc, tagging_pb2, tagging_pb2_grpc
from tests.server_process import ServerProcess, wait_until

pytestmark = pytest.mark.triton


def photo(name: str = "rocket.jpg") -> bytes:
    return (Path(skimage.data.data_dir) / name).read_bytes()


def test_a_client_without_our_protos_tags_through_reflection(server: ServerProcess) -> None:
    database = ProtoReflectionDescriptorDatabase(server.channel)
    assert {
        "inkling.v1.TaggingService",
        "inkling.v1.InfoService",
        "grpc.health.v1.Health",
    } <= set(database.get_services())
    pool = DescriptorPool(database)
    service = pool.FindServiceByName("inkling.v1.TaggingService")
    method = service.FindMethodByName("Tag")
    request: Any = message_factory.GetMessageClass(method.input_type)()
    request.image = photo()
    call: Any = server.channel.unary_unary(
        "/inkling.v1.TaggingService/Tag",
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    answer: Any = call(request, timeout=20)
    assert answer.graph_version


def test_health_answers_per_service(server: ServerProcess) -> None:
    assert server.health("") == "SERVING"
    assert server.health("inkling.v1.TaggingService") == "SERVING"
    assert server.health("inkling.v1.InfoService") == "SERVING"
    assert server.health("inkling.v1.Nonsense") == "NOT_FOUND"


def test_info_names_versions_limits_and_defaults(server: ServerProcess) -> None:
    info = info_pb2_grpc.InfoServiceStub(server.channel).GetInfo(
        info_pb2.GetInfoRequest(), timeout=10
    )
    assert info.interest_count >= 2000
    assert info.model_version.startswith("inkling-small:")
    assert 0 < info.embedding_dimension <= 256
    assert info.defaults.top_n == 5
    assert 0 < info.defaults.min_score < 1
    assert {e.name for e in info.encoders} == {"vision_encoder", "text_encoder"}
    assert all(e.runtime for e in info.encoders)
    assert info.calibrated_time.seconds > 0


def test_sigterm_lets_requests_under_way_finish(own_server: ServerProcess) -> None:
    family = own_server.family()
    stub = tagging_pb2_grpc.TaggingServiceStub(own_server.channel)
    all_sent, port_closed = threading.Event(), threading.Event()

    def send() -> Iterator[tagging_pb2.TagStreamRequest]:
        for number in range(64):
            yield tagging_pb2.TagStreamRequest(
                request_id=str(number), request=tagging_pb2.TagRequest(image=photo())
            )
        all_sent.set()
        # Half-closes only when the server drains, as a busy client would.
        port_closed.wait(20)

    replies: list[tagging_pb2.TagStreamResponse] = []

    def receive() -> str:
        """Returns "OK" or the code with which the stream ended after the last reply."""
        try:
            for reply in stream:
                replies.append(reply)  # noqa: PERF402 - what came before an error counts
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"

    stream = stub.TagStream(send(), timeout=30)
    with ThreadPoolExecutor(2) as pool:
        ended = pool.submit(receive)
        assert all_sent.wait(20)
        stopped = pool.submit(own_server.stop)
        wait_until("the port is closed", lambda: own_server.health() != "SERVING", 20)
        port_closed.set()
        assert stopped.result(30) == 0
        # UNAVAILABLE (SHUTTING_DOWN) where flow control still held pictures back: saying OK would
        # claim that they were answered.
        assert ended.result(30) in {"OK", "UNAVAILABLE"}
    assert len(replies) > 0
    assert all(reply.WhichOneof("result") == "response" for reply in replies)
    wait_until("every child is gone", lambda: not any(p.is_running() for p in family), 10)


def test_two_servers_run_side_by_side(server: ServerProcess, own_server: ServerProcess) -> None:
    for each in (server, own_server):
        stub = tagging_pb2_grpc.TaggingServiceStub(each.channel)
        assert stub.Tag(tagging_pb2.TagRequest(image=photo()), timeout=20).graph_version


def test_second_start_maps_tag_embeddings(warm_data_dir: Path) -> None:
    with ServerProcess(warm_data_dir) as process:
        process.wait_serving()
        log = process.output.read_text(encoding="utf-8")
    assert re.search(r"tag embeddings: 0 computed, [1-9]\d+ mapped", log), log
