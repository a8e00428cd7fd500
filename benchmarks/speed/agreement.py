"""Do two servers answer the same tags? What shows that peers do the same work.

Compared are the tags of 640 x 480 photos, one call each. Scores may differ in the third digit,
because decoders and precisions do, so near the threshold a tag comes or goes.
"""

import json
import urllib.request
from collections.abc import Sequence

import grpc

from benchmarks.speed.jobs import TAG
from benchmarks.speed.systems import Endpoint, System
from inkling.v1 import tagging_pb2


def agreement(pictures: Sequence[bytes], one: System, other: System) -> float:
    """Mean overlap (Jaccard) of the two servers' tags, in [0, 1]."""
    ours = [tags_of(_endpoint(one), picture) for picture in pictures]
    theirs = [tags_of(_endpoint(other), picture) for picture in pictures]
    overlaps = [len(a & b) / max(len(a | b), 1) for a, b in zip(ours, theirs, strict=True)]
    return round(sum(overlaps) / len(overlaps), 3)


def tags_of(endpoint: Endpoint, picture: bytes) -> set[str]:
    """Ids of one picture's tags."""
    if endpoint.transport == "http":
        kind, body = endpoint.body(picture)
        url = f"http://{endpoint.address}{endpoint.path}"
        request = urllib.request.Request(url, body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return {tag["id"] for tag in json.load(reply)["tags"]}
    with grpc.insecure_channel(endpoint.address) as channel:
        call = channel.unary_unary(
            TAG,
            request_serializer=tagging_pb2.TagRequest.SerializeToString,
            response_deserializer=tagging_pb2.TagResponse.FromString,
        )
        reply = call(tagging_pb2.TagRequest(image=picture), timeout=30)
        return {tag.interest_id for tag in reply.tags}


def _endpoint(system: System) -> Endpoint:
    return next(e for e in system.endpoints if e.transport != "grpc-stream")
