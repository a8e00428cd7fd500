"""Real photos through a real server: are the tags right?"""

from pathlib import Path

import pytest
import skimage.data
import sklearn

from inkling.v1 import (
    common_pb2,
    info_pb2,
    info_pb2_grpc,
    tagging_pb2,
    tagging_pb2_grpc,
)
from tests.server_process import ServerProcess

# The demo's photos, and what a person would accept as a right tag.
PHOTOS = {
    "astronaut.png": {"astronaut", "person", "woman", "portrait"},
    "camera.png": {"camera", "tripod", "photography", "photographer"},
    "chelsea.png": {"cat", "kitten", "pet", "tabby cat"},
    "coffee.png": {"coffee", "espresso", "cup", "drink"},
    "motorcycle_left.png": {"motorcycle", "motorbike"},
    "china.jpg": {"architecture", "building", "palace", "pagoda", "temple"},
    "rocket.jpg": {"rocket", "launch", "spacecraft"},
}
# Listed in the model card, too; no photo of the demo.
KNOWN_WRONG = {"rocket.jpg"}


def photo(name: str) -> bytes:
    """The file, from the package that carries it."""
    folders = (
        Path(skimage.data.data_dir),
        Path(sklearn.__file__).parent / "datasets" / "images",
    )
    return next(folder / name for folder in folders if (folder / name).exists()).read_bytes()


def tag(server: ServerProcess, image: bytes) -> tagging_pb2.TagResponse:
    stub = tagging_pb2_grpc.TaggingServiceStub(server.channel)
    return stub.Tag(tagging_pb2.TagRequest(image=image, top_n=3, min_score=0.0), timeout=20)


@pytest.mark.triton
@pytest.mark.parametrize("name", sorted(PHOTOS))
def test_first_three_tags_hold_a_right_one(server: ServerProcess, name: str) -> None:
    phrases = [t.phrase for t in tag(server, photo(name)).tags]
    # Right again is worth a look, too: then the model card is to be mended.
    assert bool(PHOTOS[name] & set(phrases)) == (name not in KNOWN_WRONG), phrases


@pytest.mark.triton
def test_answers_name_both_versions_and_descend(server: ServerProcess) -> None:
    image = (Path(skimage.data.data_dir) / "chelsea.png").read_bytes()
    answer = tag(server, image)
    assert answer.graph_version
    assert answer.model_version.startswith("inkling-small:")
    scores = [t.score for t in answer.tags]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 < score <= 1.0 for score in scores)


@pytest.mark.triton
def test_photo_and_caption_give_both_with_evidence(server: ServerProcess) -> None:
    image = (Path(skimage.data.data_dir) / "chelsea.png").read_bytes()
    context = common_pb2.ContentContext(
        caption="She slept all through our guitar practice 🎸",
        hashtags=["livingroom"],
        comments=["what a cat!", "I love your cat"],
    )
    request = tagging_pb2.TagRequest(image=image, explain=True, context=context)
    alone = tagging_pb2.TagRequest(image=image, explain=True)
    stub = tagging_pb2_grpc.TaggingServiceStub(server.channel)
    assert (
        info_pb2_grpc.InfoServiceStub(server.channel)
        .GetInfo(info_pb2.GetInfoRequest(), timeout=20)
        .uses_context
    )
    shown = {t.phrase: t for t in stub.Tag(alone, timeout=20).tags}
    joined = {t.phrase: t for t in stub.Tag(request, timeout=60).tags}
    assert "guitar" not in shown
    sources = {one.source: one for one in joined["guitar"].explanation.evidence}
    assert sources["caption"].text == "guitar"
    assert joined["cat"].score > shown["cat"].score
    (comment,) = joined["cat"].explanation.evidence
    assert (comment.source, comment.mention_count, comment.text) == ("comment", 2, "cat")
    assert stub.Tag(alone, timeout=20).tags == list(shown.values())
