"""The plain peer answers the same RPCs: a tiny model, a tiny tag matrix, a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.peers.tagger import PictureBroken, Tagger, TaggerOptions, TagMatrix
from benchmarks.speed.generator import Generator
from benchmarks.speed.jobs import (
    TAG,
    TAG_STREAM,
    Job,
    stream_messages,
    tag_messages,
    write_messages,
)
from benchmarks.speed.pictures import make_pictures
from benchmarks.speed.systems import grpc_endpoints, open_plain
from benchmarks.speed.tags import ServedModel
from inkling.v1 import tagging_pb2


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A model whose embedding is the picture's mean colour, and tags for red, green and blue."""
    folder = tmp_path_factory.mktemp("peer")
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["b", 224, 224, 3])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", 3])
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["embedding"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
    ]
    graph = helper.make_graph(nodes, "mean", [pixels], [embedding], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    np.savez(
        folder / "tags.npz",
        rows_NE=np.hstack([np.eye(3), [[-1.0]] * 3]).astype(np.float32),
        ids=np.array(["red", "green", "blue"]),
        phrases=np.array(["Red", "Green", "Blue"]),
        scale=10.0,
        top_n=2,
        min_score=0.5,
    )
    return ServedModel(folder / "model.onnx", folder / "tags.npz", 3, 3, "mean:1")


def flat(colour: tuple[int, int, int]) -> bytes:
    import cv2

    pixels_HWC = np.full((48, 64, 3), colour[::-1], np.uint8)
    return bytes(cv2.imencode(".png", pixels_HWC)[1])


def test_tags_are_the_best_above_the_threshold_in_order(files: ServedModel) -> None:
    matrix = TagMatrix.load(files.tags)
    (tags,) = matrix.top(np.array([[0.9, 0.0, 0.5]], np.float32))
    assert [tag for tag, _, _ in tags] == ["red", "blue"]
    assert tags[0][2] == pytest.approx(1 / (1 + np.exp(-8.0)))
    (one,) = matrix.top(np.array([[0.9, 0.0, 0.05]], np.float32))
    assert [tag for tag, _, _ in one] == ["red"]


@pytest.mark.parametrize("tuned", [False, True])
def test_a_broken_picture_does_not_hurt_the_others(files: ServedModel, tuned: bool) -> None:
    tagger = Tagger(TaggerOptions(files.onnx, files.tags, threads=1, tuned=tuned))
    red, broken, blue = tagger.tag([flat((255, 0, 0)), b"no picture", flat((0, 0, 255))])
    assert isinstance(broken, PictureBroken)
    assert not isinstance(red, PictureBroken)
    assert not isinstance(blue, PictureBroken)
    assert (red[0][0], blue[0][0]) == ("red", "blue")


@pytest.fixture(scope="module")
def address(files: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with open_plain(files, tmp_path_factory.mktemp("log") / "peer.log") as peer:
        yield peer.endpoints[0].address


def test_unary_call_tags_and_refuses_what_is_no_picture(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            TAG,
            request_serializer=tagging_pb2.TagRequest.SerializeToString,
            response_deserializer=tagging_pb2.TagResponse.FromString,
        )
        reply = call(tagging_pb2.TagRequest(image=flat((0, 255, 0))), timeout=10)
        assert [tag.interest_id for tag in reply.tags] == ["green"]
        with pytest.raises(grpc.RpcError) as refused:
            call(tagging_pb2.TagRequest(image=b"no picture"), timeout=10)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_generator_loads_it_by_stream_and_by_call(address: str, tmp_path: Path) -> None:
    requests = tag_messages([*make_pictures(3), b"no picture"])
    unary = write_messages(tmp_path / "unary", requests)
    stream = write_messages(tmp_path / "stream", stream_messages(requests, 8))
    names = [endpoint.name for endpoint in grpc_endpoints("x", address)]
    assert names == ["x TagStream", "x Tag"]
    with Generator() as generator:
        streamed = generator.run(
            Job("grpc-stream", address, TAG_STREAM, str(stream), 30.0, concurrency=8, count=40)
        )
        called = generator.run(
            Job("grpc-unary", address, TAG, str(unary), 30.0, concurrency=4, count=40)
        )
        arrived = generator.run(Job("grpc-unary", address, TAG, str(unary), 0.5, rate=60.0))
        in_turn = Job(
            "grpc-stream",
            address,
            TAG_STREAM,
            str(stream),
            30.0,
            concurrency=8,
            count=40,
            in_turn=True,
        )
        fairly = generator.run(in_turn)
    assert streamed.ok + streamed.failed["error reply"] == streamed.sent >= 40
    assert fairly.failed["error reply"] == 10  # every fourth picture is broken
    assert called.ok + called.failed["INVALID_ARGUMENT"] == called.sent >= 40
    assert called.latency_ms["p50"] > 0
    assert arrived.sent == arrived.ok + sum(arrived.failed.values()) > 10
    assert called.cpu_s > 0


def test_help_names_the_flags() -> None:
    command = [sys.executable, "-m", "benchmarks.peers.plain_grpc", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--tuned" in said
