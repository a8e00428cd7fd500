"""Heads turn features into embeddings of length 1, and start from what the classifier knows."""

import pytest
import torch
from torch.nn.functional import normalize

from inkling_training.heads import ConseHead
from inkling_training.models.similarity import HeadSpec, ProjectionHead

pytestmark = pytest.mark.training


def _head() -> ConseHead:
    torch.manual_seed(0)
    labels_KD = normalize(torch.randn(4, 6), dim=-1)
    labels_KD[0] = 0  # background
    return ConseHead(torch.nn.Linear(5, 4), labels_KD, hidden=7).eval()


def test_untrained_head_answers_the_probable_labels_embedding() -> None:
    head = _head()
    sure_B1C = torch.linalg.pinv(head.classifier.weight)[:, 2].mul(200).reshape(1, 1, 5)
    embedding_BD = head(sure_B1C)
    assert torch.allclose(embedding_BD[0], head.labels_KD[2], atol=1e-3)


def test_background_has_no_say() -> None:
    head = _head()
    logits_BK, summary_BX = head.evidence(torch.randn(3, 10, 5))
    assert logits_BK.softmax(dim=-1)[:, 0].max() == 0
    assert summary_BX.shape == (3, 10)


def test_silenced_mlp_leaves_the_classifiers_opinion() -> None:
    head = _head()
    with torch.no_grad():
        list(head.mlp.parameters())[-1].fill_(1.0)
    evidence = head.evidence(torch.randn(2, 10, 5))
    silent_BD = head.embed(*evidence, torch.tensor([[0.0], [1.0]]))
    opinion_D = normalize(
        head.opinion(evidence[0].softmax(dim=-1), evidence[0].softmax(dim=-1)), dim=-1
    )
    assert torch.allclose(silent_BD[0], opinion_D[0], atol=1e-5)
    assert not torch.allclose(silent_BD[1], opinion_D[1], atol=1e-2)


def test_classifier_never_learns() -> None:
    head = _head()
    head(torch.randn(2, 10, 5)).sum().backward()
    assert head.classifier.weight.grad is None
    assert head.labels_KD.grad is not None


def test_linear_head_needs_no_classifier() -> None:
    embeddings_BD = ProjectionHead(HeadSpec("linear", 5, 6))(torch.randn(3, 5))
    assert embeddings_BD.norm(dim=-1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
