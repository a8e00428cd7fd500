"""What the client sends: where a picture's bytes come from, and the request around them.

Reading is bounded: a file over the limit is refused by its size, before its bytes are in memory.

This module does not know connections.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from inkling.v1 import tagging_pb2
from inkling_client.context import Context
from inkling_client.errors import InklingClientError
from inkling_client.local_errors import file_unreadable, image_bytes_over_limit, not_sendable

# The encoded file itself, or where it lies.
Image = bytes | os.PathLike[str]

# Every gRPC server takes messages of this size; before it sends more, the client asks for limits.
ALWAYS_SENT_BYTES = 4 * 2**20 - 2**10
# No more of a file is read while the server's limit is unknown.
READ_CAP_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class TagOptions:
    """What a tagging call may ask for; None and empty leave it to the server.

    Args:
        top_n: how many tags at most.
        min_score: only tags that score strictly more, in [0, 1].
        graph_version: answer from this version or fail with GraphVersionNotServed.
        explain: adds Tag.explanation.
    """

    top_n: int | None = None
    min_score: float | None = None
    graph_version: str = ""
    explain: bool = False

    def request(self, image: bytes, context: Context | None = None) -> tagging_pb2.TagRequest:
        """The message for one picture, with what is known about it.

        Raises:
            ArgumentOutOfRange: a text cannot be sent.
        """
        try:
            return tagging_pb2.TagRequest(
                image=image,
                top_n=self.top_n,
                min_score=self.min_score,
                graph_version=self.graph_version,
                explain=self.explain,
                context=None if context is None else context.message(),
            )
        except ValueError:
            if context is None:
                raise
            # Protobuf's own text repeats what it cannot hold.
            raise not_sendable("a text of the context holds half a character") from None


@dataclass(frozen=True, slots=True)
class Post:
    """A picture with the texts that belong to it, for `tag_stream`.

    Args:
        image: the encoded file's bytes, or its path.
        context: what is known about it.
    """

    image: Image = field(repr=False)
    context: Context


def read_image(image: Image, max_bytes: int) -> bytes:
    """The bytes of a picture, at most `max_bytes` of them.

    Raises:
        ImageTooLarge: there are more.
        FileUnreadable: the file is not there, is a folder, may not be read ...
    """
    if isinstance(image, bytes):
        if len(image) > max_bytes:
            raise image_bytes_over_limit(len(image), max_bytes)
        return image
    try:
        with Path(image).open("rb") as file:
            status = os.fstat(file.fileno())
            # Pipes and devices do not say how long they are.
            size = status.st_size if stat.S_ISREG(status.st_mode) else max_bytes
            if size > max_bytes:
                raise image_bytes_over_limit(size, max_bytes)
            data = file.read(size + 1)
    except InklingClientError:
        raise
    except OSError as error:
        raise file_unreadable(error) from error
    except ValueError as error:  # a name with a zero byte in it
        raise file_unreadable(OSError(0, str(error))) from error
    if len(data) > max_bytes:
        raise image_bytes_over_limit(len(data), max_bytes)
    return data
