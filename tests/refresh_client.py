"""Refreshes a real server, and asks it what its graph and its photos are; by gRPC only.

What end-to-end tests and benchmarks of refreshing share.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
import skimage.data
from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling.v1 import graph_pb2, graph_pb2_grpc, tagging_pb2, tagging_pb2_grpc

PHOTOS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")
# Subjects that no graph has, and that no two refreshes share.
NEW_SUBJECTS = [
    f"{adjective} {noun}"
    for noun in ("windmill", "teapot", "umbrella", "canoe", "violin", "lantern", "kite")
    for adjective in ("rusty", "velvet", "striped", "golden", "wooden")
]
# Scores of one picture may differ by rounding where batches differ.
SAME_SCORE = 1e-4
Tags = tuple[tuple[str, str, float], ...]
"""(interest_id, phrase, score), best first."""


class RefreshClient:
    """Talks to one server.

    Args:
        channel: to the server.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._graph = graph_pb2_grpc.GraphServiceStub(channel)
        self._tagging = tagging_pb2_grpc.TaggingServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)

    def start(self) -> str:
        """Starts a refresh; returns its name."""
        operation = self._graph.RefreshGraph(graph_pb2.RefreshGraphRequest(), timeout=20)
        return str(operation.name)

    def wait(self, name: str, timeout_s: float = 300) -> operations_pb2.Operation:
        """A refresh that has ended."""
        request = operations_pb2.WaitOperationRequest(name=name)
        ended = self._operations.WaitOperation(request, timeout=timeout_s)
        if not ended.done:
            raise TimeoutError(f"after {timeout_s} s the refresh still runs")
        return ended

    def duration_s(self, name: str) -> float:
        """How long a refresh took."""
        metadata = graph_pb2.RefreshGraphMetadata()
        self.wait(name).metadata.Unpack(metadata)
        begun, ended = metadata.create_time, metadata.end_time
        return float(ended.ToNanoseconds() - begun.ToNanoseconds()) / 1e9

    def refresh(self) -> graph_pb2.RefreshGraphResponse:
        """A whole refresh. Raises RuntimeError where it fails."""
        ended = self.wait(self.start())
        response = graph_pb2.RefreshGraphResponse()
        if not ended.response.Unpack(response):
            raise RuntimeError(f"the refresh failed: {ended.error.message}")
        return response

    def version(self) -> str:
        """The graph that serves."""
        reply = self._graph.GetGraph(graph_pb2.GetGraphRequest(), timeout=20)
        return str(reply.graph.graph_version)

    def interests(self, version: str = "") -> dict[str, str]:
        """Phrases by interest id, of one version."""
        found: dict[str, str] = {}
        request = graph_pb2.ListInterestsRequest(graph_version=version, page_size=1000)
        while True:
            page = self._graph.ListInterests(request, timeout=20)
            found |= {interest.interest_id: interest.phrase for interest in page.interests}
            request.page_token = page.next_page_token
            if not request.page_token:
                return found

    def tag(self, photo: str, *, top_n: int = 20) -> tuple[str, Tags]:
        """Graph version and tags of one of scikit-image's photos."""
        image = (Path(skimage.data.data_dir) / photo).read_bytes()
        request = tagging_pb2.TagRequest(image=image, top_n=top_n, min_score=0.0)
        answer = self._tagging.Tag(request, timeout=20)
        tags = tuple((tag.interest_id, tag.phrase, tag.score) for tag in answer.tags)
        return answer.graph_version, tags

    def answers(self, photos: Sequence[str] = PHOTOS) -> dict[str, tuple[str, Tags]]:
        """Graph version and tags of each photo."""
        return {photo: self.tag(photo) for photo in photos}


def same_answers(
    one: Mapping[str, tuple[str, Tags]], other: Mapping[str, tuple[str, Tags]]
) -> bool:
    """Whether both have the same versions and tags, and the same scores but for rounding."""
    return one.keys() == other.keys() and all(
        version == other[photo][0]
        and [tag[:2] for tag in tags] == [tag[:2] for tag in other[photo][1]]
        and all(
            abs(mine[2] - theirs[2]) < SAME_SCORE
            for mine, theirs in zip(tags, other[photo][1], strict=True)
        )
        for photo, (version, tags) in one.items()
    )
