"""One process of clients for `gpu_path`: TagStreams as full as the server lets them be.

    python -m benchmarks.gpu_client ADDRESS SECONDS STREAMS IN_FLIGHT FOLDER

Reads the JPEGs of FOLDER, opens STREAMS channels (several gateway processes share connections, not
calls), says "ready", waits for a line, streams for SECONDS and prints one JSON line: answers,
errors and a sample of latencies.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import uvloop

from inkling.v1 import tagging_pb2, tagging_pb2_grpc

_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


async def stream(
    channel: grpc.aio.Channel, pictures: list[bytes], seconds: float, in_flight: int
) -> tuple[int, int, list[float]]:
    """One TagStream; answers, errors and latencies in seconds of those within the time."""
    end_s = time.perf_counter() + seconds
    room = asyncio.Semaphore(in_flight)
    sent_s: dict[str, float] = {}
    latencies_s: list[float] = []
    failed = 0

    async def requests() -> AsyncIterator[tagging_pb2.TagStreamRequest]:
        for number, picture in enumerate(itertools.cycle(pictures)):
            await room.acquire()
            if time.perf_counter() > end_s:
                return
            sent_s[str(number)] = time.perf_counter()
            yield tagging_pb2.TagStreamRequest(
                request_id=str(number), request=tagging_pb2.TagRequest(image=picture)
            )

    async for reply in tagging_pb2_grpc.TaggingServiceStub(channel).TagStream(requests()):
        now_s = time.perf_counter()
        room.release()
        latency_s = now_s - sent_s.pop(reply.request_id)
        if reply.WhichOneof("result") != "response":
            failed += 1
        elif now_s <= end_s:
            latencies_s.append(latency_s)
    return len(latencies_s), failed, latencies_s


async def _main(
    address: str, seconds: float, streams: int, in_flight: int, pictures: list[bytes]
) -> None:
    channels = [grpc.aio.insecure_channel(address, options=_OPTIONS) for _ in range(streams)]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    found = await asyncio.gather(
        *(stream(channel, pictures, seconds, in_flight) for channel in channels)
    )
    latencies_s = sorted(itertools.chain.from_iterable(each[2] for each in found))
    print(
        json.dumps(
            {
                "answers": sum(each[0] for each in found),
                "failed": sum(each[1] for each in found),
                "latencies_s": latencies_s[:: max(1, len(latencies_s) // 1_000)],
            }
        ),
        flush=True,
    )
    for channel in channels:
        await channel.close()


def main() -> None:
    """Command line; see the top of this module."""
    address, seconds, streams, in_flight, folder = sys.argv[1:]
    pictures = [path.read_bytes() for path in sorted(Path(folder).glob("*.jpg"))]
    uvloop.run(_main(address, float(seconds), int(streams), int(in_flight), pictures))


if __name__ == "__main__":
    main()
