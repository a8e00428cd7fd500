"""Whether answers under load are those of the model that they name, and callers of single pictures.

It does not know rollouts: whoever runs one says which scores each model gives alone.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence

import grpc

from tests.rollout_client import RolloutClient, Scores

# Of one picture by one model: batches of another size round otherwise.
_SAME_SCORE = 0.02
# Scores of each picture by each model alone: [model_version][picture].
Expected = Mapping[str, Mapping[int, Scores]]


class TagLoad:
    """Callers that tag one picture after the other until told to stop.

    Attributes:
        answers: (picture, model, scores).
        failures: texts.
    """

    def __init__(self, channel: grpc.Channel, pictures: Sequence[bytes], callers: int = 2) -> None:
        self._client = RolloutClient(channel)
        self._pictures = pictures
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(callers)]
        self.answers: list[tuple[int, str, Scores]] = []
        self.failures: list[str] = []

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            picture = number % len(self._pictures)
            number += 1
            try:
                model, scores = self._client.tag(self._pictures[picture])
            except grpc.RpcError as error:
                self.failures.append(str(error))
            else:
                self.answers.append((picture, model, scores))
            self._stop.wait(0.05)

    def __enter__(self) -> "TagLoad":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def mixed(answers: Iterable[tuple[int, str, Scores]], expected: Expected) -> list[str]:
    """What answers say that the model that they name cannot have said alone."""
    problems = []
    for picture, model, scores in answers:
        if model not in expected:
            problems.append(f"{model} never served")
            continue
        alone = expected[model][picture]
        for interest_id, score in scores.items():
            # One that is not among the expected ones may have been the next.
            known = alone.get(interest_id, min(min(alone.values()), score))
            if abs(known - score) > _SAME_SCORE:
                problems.append(f"{model} gives picture {picture} {interest_id} {score:.3f}")
    return problems
