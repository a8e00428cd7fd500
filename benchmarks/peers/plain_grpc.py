"""The server that a competent engineer writes in a day: grpc.aio, ONNX Runtime, dynamic batches.

    python -m benchmarks.peers.plain_grpc --model model.onnx --tags tags.npz [--tuned]

Speaks the same `Tag` and `TagStream` as Inkling. While one batch is encoded, the next decodes and
gathers; a batch takes all that is ready, 32 at most. It has no admission control, deadlines,
metrics, versions or health, which cost Inkling something.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.peers.tagger import PictureBroken, Tagger, Tags, options_of, tagger_flags
from inkling.v1 import common_pb2, tagging_pb2, tagging_pb2_grpc

_BATCH = 32
_MESSAGE_BYTES = 64 * 1024 * 1024
_IN_FLIGHT = 64
_Waiting = tuple[NDArray[np.uint8], "asyncio.Future[Tags]"]


class Batcher:
    """Gathers decoded pictures while a batch is encoded. `run` is its worker."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._ready: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._encode = ThreadPoolExecutor(1)

    async def tag(self, picture: bytes) -> Tags:
        """Raises PictureBroken."""
        loop = asyncio.get_running_loop()
        pixels_HWC = await loop.run_in_executor(self._tagger.pool, self._tagger.decode, picture)
        answer: asyncio.Future[Tags] = loop.create_future()
        self._ready.put_nowait((pixels_HWC, answer))
        return await answer

    async def run(self) -> None:
        """Encodes batch after batch, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._ready.get()]
            while len(batch) < _BATCH and not self._ready.empty():
                batch.append(self._ready.get_nowait())
            pixels = [pixels_HWC for pixels_HWC, _ in batch]
            try:
                answers = await loop.run_in_executor(self._encode, self._tagger.tag_pixels, pixels)
            except Exception as error:
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(error)
                continue
            for (_, waiting), tags in zip(batch, answers, strict=True):
                if not waiting.done():  # cancelled meanwhile
                    waiting.set_result(tags)


class Servicer(tagging_pb2_grpc.TaggingServiceServicer):
    """The two RPCs."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def Tag(  # noqa: N802
        self,
        request: tagging_pb2.TagRequest,
        context: "grpc.aio.ServicerContext[tagging_pb2.TagRequest, tagging_pb2.TagResponse]",
    ) -> tagging_pb2.TagResponse:
        try:
            return _response(await self._batcher.tag(request.image))
        except PictureBroken as broken:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(broken))

    async def TagStream(  # noqa: N802
        self, request_iterator: AsyncIterator[tagging_pb2.TagStreamRequest], _: object
    ) -> AsyncIterator[tagging_pb2.TagStreamResponse]:
        room = asyncio.Semaphore(_IN_FLIGHT)
        done: asyncio.Queue[tagging_pb2.TagStreamResponse | None] = asyncio.Queue()

        async def one(request: tagging_pb2.TagStreamRequest) -> None:
            reply = tagging_pb2.TagStreamResponse(request_id=request.request_id)
            try:
                reply.response.CopyFrom(_response(await self._batcher.tag(request.request.image)))
            except PictureBroken as broken:
                reply.error.code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
                reply.error.message = str(broken)
            done.put_nowait(reply)
            room.release()

        async def read() -> None:
            async with asyncio.TaskGroup() as tasks:
                async for request in request_iterator:
                    await room.acquire()
                    tasks.create_task(one(request))
            done.put_nowait(None)

        reading = asyncio.create_task(read())
        try:
            while (reply := await done.get()) is not None:
                yield reply
        finally:
            reading.cancel()

    async def TagVideo(  # noqa: N802
        self,
        _: object,
        context: "grpc.aio.ServicerContext[Any, tagging_pb2.TagVideoResponse]",
    ) -> tagging_pb2.TagVideoResponse:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "pictures only")


def _response(tags: Tags) -> tagging_pb2.TagResponse:
    return tagging_pb2.TagResponse(
        tags=[common_pb2.Tag(interest_id=i, phrase=p, score=s) for i, p, s in tags]
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Prints the port when ready, and serves until the process ends."""
    batcher = Batcher(Tagger(options_of(arguments)))
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", _MESSAGE_BYTES)])
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(Servicer(batcher), server)
    port = server.add_insecure_port(f"127.0.0.1:{arguments.port}")
    working = asyncio.create_task(batcher.run())
    await server.start()
    print(f"READY {port}", flush=True)
    try:
        await server.wait_for_termination()
    finally:
        working.cancel()


def main(arguments: list[str] | None = None) -> None:
    """Serves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    tagger_flags(parser)
    uvloop.run(serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
