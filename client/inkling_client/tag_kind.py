"""How pictures that are to be tagged travel over a stream.

This module does not know connections (`stream.py`, `aio_stream.py`).
"""

from inkling.v1 import tagging_pb2
from inkling_client.errors import InklingClientError, from_status
from inkling_client.requests import Image, Post, TagOptions
from inkling_client.results import TagResult, tag_result
from inkling_client.stream_kind import StreamKind


def tag_kind(options: TagOptions) -> StreamKind[Image | Post, TagResult]:
    """The kind of a TagStream whose pictures all have these options."""

    def message_of(item: Image | Post, data: bytes) -> tagging_pb2.TagStreamRequest:
        context = item.context if isinstance(item, Post) else None
        return tagging_pb2.TagStreamRequest(request=options.request(data, context))

    return StreamKind(_image_of, message_of, _image_bytes, _outcome_of)


def _image_of(item: Image | Post) -> Image:
    return item.image if isinstance(item, Post) else item


def _image_bytes(message: tagging_pb2.TagStreamRequest) -> int:
    return len(message.request.image)


def _outcome_of(reply: tagging_pb2.TagStreamResponse) -> TagResult | InklingClientError:
    if reply.WhichOneof("result") == "response":
        return tag_result(reply.response)
    return from_status(reply.error)
