"""Real photos through a real server: are the tags right?"""

from pathlib import Path

import pytest
import skimage.data

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from tests.server_process import ServerProcess

# The demo's photos, and what a person would accept as a right tag.
PHOTOS = {
    "astronaut.png": {"astronaut", "person", "woman", "portrait"},
    "camera.png": {"camera", "tripod", "photography", "photographer"},
    "chelsea.png": {"cat", "kitten", "pet", "tabby cat"},
    "coffee.png": {"coffee", "espresso", "cup", "drink"},
    "motorcycle_left.png": {"motorcycle", "motorbike"},
    "rocket.jpg": {"rocket", "launch", "spacecraft"},
}


def tag(server: ServerProcess, image: bytes) -> tagging_pb2.TagResponse:
    stub = tagging_pb2_grpc.TaggingServiceStub(server.channel)
    return stub.Tag(tagging_pb2.TagRequest(image=image, top_n=3, min_score=0.0), timeout=20)


@pytest.mark.triton
@pytest.mark.parametrize("name", sorted(PHOTOS))
def test_first_three_tags_hold_a_right_one(server: ServerProcess, name: str) -> None:
    image = (Path(skimage.data.data_dir) / name).read_bytes()
    phrases = [t.phrase for t in tag(server, image).tags]
    assert PHOTOS[name] & set(phrases), phrases


@pytest.mark.triton
def test_answers_name_both_versions_and_descend(server: ServerProcess) -> None:
    image = (Path(skimage.data.data_dir) / "chelsea.png").read_bytes()
    answer = tag(server, image)
    assert answer.graph_version
    assert answer.model_version.startswith("inkling-small:")
    scores = [t.score for t in answer.tags]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 < score <= 1.0 for score in scores)
