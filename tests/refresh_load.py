"""A steady TagStream at a fixed rate, and what its answers say about versions and waiting.

    due times ─► requests (open loop: the next one is due whatever became of the last) ─► answers

A request's latency begins when it was due, so a server that stalls cannot hide it. Bounded by the
duration that it is given and by the stream's own flow control. It does not know refreshes: whoever
runs one notes when.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import grpc

from inkling.v1 import tagging_pb2, tagging_pb2_grpc

# Scores of one picture by one version: batches of another size round otherwise.
_SAME_SCORE = 0.02
_TOP_N = 20


@dataclass(slots=True)
class Answer:
    """One answer: which picture, when it was due and came, and what it says."""

    picture: int
    due_s: float
    came_s: float
    version: str
    tags: tuple[tuple[str, str, float], ...]
    model: str = ""

    @property
    def latency_s(self) -> float:
        """From when it was due."""
        return self.came_s - self.due_s


@dataclass
class StreamLoad:
    """Asks for tags of the same pictures in turn.

    Attributes:
        rate: pictures a second.
        failures: texts of error replies, or of the stream's own end.
        answers: in the order of their coming.
        sent: requests.
    """

    address: str
    pictures: Sequence[bytes]
    rate: float
    failures: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    sent: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until told to stop, and returns when every request is answered."""
        due: dict[str, tuple[int, float]] = {}

        async def requests() -> AsyncIterator[tagging_pb2.TagStreamRequest]:
            start = time.monotonic()
            while not stop.is_set():
                due_s = start + self.sent / self.rate
                wait_s = due_s - time.monotonic()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                picture = self.sent % len(self.pictures)
                name = str(self.sent)
                due[name] = picture, due_s
                self.sent += 1
                yield tagging_pb2.TagStreamRequest(
                    request_id=name,
                    request=tagging_pb2.TagRequest(
                        image=self.pictures[picture], top_n=_TOP_N, min_score=0.0
                    ),
                )

        async with grpc.aio.insecure_channel(self.address) as channel:
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            try:
                async for reply in stub.TagStream(requests()):
                    came_s = time.monotonic()
                    picture, due_s = due.pop(reply.request_id)
                    if reply.WhichOneof("result") != "response":
                        self.failures.append(reply.error.message)
                        continue
                    response = reply.response
                    tags = tuple((t.interest_id, t.phrase, t.score) for t in response.tags)
                    self.answers.append(
                        Answer(
                            picture,
                            due_s,
                            came_s,
                            response.graph_version,
                            tags,
                            response.model_version,
                        )
                    )
            except grpc.aio.AioRpcError as error:
                self.failures.append(f"the stream ended: {error.code().name} {error.details()}")
        self.failures += ["no answer"] * len(due)

    def latencies_s(self, windows: Sequence[tuple[float, float]]) -> list[float]:
        """Of answers that were due within one of the windows (monotonic seconds)."""
        return [
            answer.latency_s
            for answer in self.answers
            if any(start <= answer.due_s < end for start, end in windows)
        ]

    def mixed(self, interests: Mapping[str, Mapping[str, str]]) -> list[str]:
        """What answers say that one version alone cannot have said.

        Args:
            interests: phrase by interest id, for each version that may have served, in order.
        """
        problems = []
        order = {version: place for place, version in enumerate(interests)}
        known: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
        for answer in self.answers:
            graph = interests.get(answer.version)
            if graph is None:
                problems.append(f"{answer.version} never served")
                continue
            scores = known[answer.version, answer.picture]
            for interest_id, phrase, score in answer.tags:
                if graph.get(interest_id) != phrase:
                    problems.append(f"{answer.version} has no {interest_id}")
                elif abs(scores.setdefault(interest_id, score) - score) > _SAME_SCORE:
                    problems.append(f"{answer.version} scores {interest_id} in two ways")
        places = [order[a.version] for a in self.answers if a.version in order]
        back = sum(later < earlier for earlier, later in pairwise(places))
        # Two batches may be on their way at the moment of a swap, and overtake each other.
        if back > len(interests) * len(self.pictures):
            problems.append(f"{back} answers by a version that had been replaced")
        return problems


async def capacity(address: str, pictures: Sequence[bytes], seconds: float) -> float:
    """Pictures a second that one full TagStream gets answered."""
    room = asyncio.Semaphore(64)
    end = time.monotonic() + seconds
    done = 0

    async def requests() -> AsyncIterator[tagging_pb2.TagStreamRequest]:
        number = 0
        while time.monotonic() < end:
            await room.acquire()
            image = pictures[number % len(pictures)]
            yield tagging_pb2.TagStreamRequest(
                request_id=str(number), request=tagging_pb2.TagRequest(image=image)
            )
            number += 1

    async with grpc.aio.insecure_channel(address) as channel:
        start = time.monotonic()
        async for _ in tagging_pb2_grpc.TaggingServiceStub(channel).TagStream(requests()):
            room.release()
            done += 1
        return done / (time.monotonic() - start)
