"""Similarity layers: heads, nested sizes, temperature."""

import math

import pytest
import torch

from inkling_training.models.similarity import HeadSpec, PictureHead, Similarity, nested
from inkling_training.models.towers import PictureFeatures

pytestmark = pytest.mark.training


def _features(channels: int = 6) -> PictureFeatures:
    torch.manual_seed(0)
    return PictureFeatures(torch.randn(3, channels), torch.randn(3, 4, channels))


@pytest.mark.parametrize(
    "spec",
    [
        HeadSpec("identity", 6, 6),
        HeadSpec("linear", 6, 4, bias=False),
        HeadSpec("linear", 6, 4, batch_norm=True),
        HeadSpec("mlp", 6, 4, hidden=8, batch_norm=True),
        HeadSpec("conse", 6, 4, hidden=8, classes=5),
    ],
)
def test_every_head_gives_rows_of_length_1(spec: HeadSpec) -> None:
    head = PictureHead(spec)
    embeddings_BD = head(_features())
    assert embeddings_BD.shape == (3, spec.dimension)
    if spec.kind != "conse":  # its labels are zero until they are told
        torch.testing.assert_close(embeddings_BD.norm(dim=1), torch.ones(3))


def test_a_conse_head_starts_from_a_classifiers_labels() -> None:
    head = PictureHead(HeadSpec("conse", 6, 4, hidden=8, classes=2)).eval()
    classifier = torch.nn.Linear(6, 2)
    with torch.no_grad():
        classifier.weight.zero_()
        classifier.bias.copy_(torch.tensor([50.0, 0.0]))
    labels_KD = torch.eye(4)[:2]
    head.start_from_labels(classifier, labels_KD)
    torch.testing.assert_close(head(_features()), labels_KD[:1].expand(3, -1))


def test_a_nested_size_is_a_prefix_of_length_1() -> None:
    row = torch.tensor([[0.6, 0.0, 0.8]])
    torch.testing.assert_close(nested(row, 2), torch.tensor([[1.0, 0.0]]))
    assert nested(row, 3) is row


def test_the_temperature_never_leaves_its_limit_and_can_come_back() -> None:
    similarity = Similarity(HeadSpec("linear", 4, 4), HeadSpec("linear", 4, 4)).train()
    similarity.log_scale.data.fill_(9.0)
    scale = similarity.scale()
    assert scale.item() == pytest.approx(100)
    assert similarity.log_scale.item() == pytest.approx(math.log(100))
    scale.backward()  # type: ignore[no-untyped-call]
    assert similarity.log_scale.grad is not None
    assert similarity.log_scale.grad.item() > 0


def test_a_logit_is_scale_times_cosine_plus_bias() -> None:
    similarity = Similarity(
        HeadSpec("identity", 2, 2), HeadSpec("identity", 2, 2), scale=10.0, bias=-3.0
    )
    logits = similarity.logits(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]]))
    assert logits.item() == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Similarity(HeadSpec("linear", 4, 4), HeadSpec("linear", 4, 3)),
            "must be the same",
        ),
        (lambda: Similarity(HeadSpec("linear", 4, 4), HeadSpec("conse", 4, 4)), "phrases cannot"),
        (
            lambda: Similarity(HeadSpec("linear", 4, 4), HeadSpec("linear", 4, 4), [2, 8]),
            r"\[8\]: must lie in 1..4",
        ),
        (lambda: PictureHead(HeadSpec("identity", 4, 3)), "choose linear or mlp"),
    ],
)
def test_impossible_layers_are_refused(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()  # type: ignore[operator]
