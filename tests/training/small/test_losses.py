"""What the recipe asks of a step."""

import numpy as np
import pytest
import scipy.sparse
import torch

from inkling_training.models.similarity import nested
from inkling_training.small import losses as small_losses
from inkling_training.small import model as small_model
from inkling_training.small.losses import SmallLosses, Weights, mixed_labels
from inkling_training.targets import TagTargets
from inkling_training.vision_tower import load_vision_tower
from tests.training import tiny_towers

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> small_model.SmallModel:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vision")
    vision = load_vision_tower(tiny_towers.save_classifier(folder))
    return small_model.build(
        vision,
        frozen_blocks=15,
        phrases_VH=torch.randn(6, 12),
        label_names_KH=torch.randn(5, 12),
        dimension=8,
    )


def _targets() -> TagTargets:
    gold = scipy.sparse.csr_matrix(np.eye(3, 6, dtype=np.float32))
    labels = scipy.sparse.csr_matrix(np.eye(5, 6, dtype=np.float32))
    nothing = scipy.sparse.csr_matrix((3, 6), dtype=np.float32)
    return TagTargets(gold, gold, labels, np.ones(3, np.float32), nothing)


_SHIPPED = Weights()


def _losses(
    model: small_model.SmallModel, sizes: list[int], weights: Weights = _SHIPPED
) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    asked = SmallLosses(
        model,
        torch.randn(6, 2, 12),
        _targets(),
        dimensions=sizes,
        weights=weights,
        kind="infonce",
    )
    channels = model.head.classifier.in_features
    model.head.eval()  # no dropout: the same loss for the same input
    regions_BPC = torch.randn(3, 2, channels)
    return asked(regions_BPC, torch.randn(3, 5), np.arange(3), np.random.default_rng(0))


def test_the_sum_is_what_the_weights_say(model: small_model.SmallModel) -> None:
    found = _losses(model, [8])
    weights = Weights()
    wanted = sum(
        getattr(weights, name) * value.item() for name, value in found.items() if name != "loss"
    )
    assert found["loss"].item() == pytest.approx(wanted, rel=1e-5)
    assert set(found) == {"loss", "tags", "virtual", "contrast", "teacher", "drift"}
    assert found["drift"].item() == 0.0


def test_the_whole_embedding_counts_most(model: small_model.SmallModel) -> None:
    both, whole, half = (_losses(model, sizes) for sizes in ([8, 4], [8], [4]))
    for name in ("tags", "virtual", "contrast", "teacher"):
        share = small_losses._NESTED_WEIGHT
        mean = (whole[name].item() + share * half[name].item()) / (1 + share)
        assert both[name].item() == pytest.approx(mean, rel=1e-5)


def test_own_tags_first_and_a_kept_opinion_are_asked_for_by_weight(
    model: small_model.SmallModel,
) -> None:
    plain = _losses(model, [8], Weights(first=0.0, keep=0.0))
    found = _losses(model, [8], Weights(first=2.0, keep=3.0))
    assert set(found) - set(plain) == {"first", "keep"}
    more = 2 * found["first"].item() + 3 * found["keep"].item()
    assert found["loss"].item() == pytest.approx(plain["loss"].item() + more, rel=1e-5)


def test_an_opinion_that_was_kept_costs_nothing(model: small_model.SmallModel) -> None:
    asked = SmallLosses(
        model,
        torch.randn(6, 2, 12),
        _targets(),
        dimensions=[8],
        weights=Weights(keep=1.0),
        kind="infonce",
    )
    regions_BPC = torch.randn(3, 2, model.head.classifier.in_features)
    said_BK = model.head.classifier(regions_BPC[:, 0])
    rows, rng = np.arange(3), np.random.default_rng(0)
    assert asked(regions_BPC, said_BK, rows, rng)["keep"].item() == pytest.approx(0.0, abs=1e-5)
    assert asked(regions_BPC, -said_BK, rows, rng)["keep"].item() > 0.01


def test_every_part_but_the_trunk_gets_a_gradient(model: small_model.SmallModel) -> None:
    _losses(model, [8])["loss"].backward()  # type: ignore[no-untyped-call]
    learning = (model.head.labels_KD, model.projection.weight, model.scales["tag"])
    assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in learning)


def test_a_nested_embedding_has_length_one() -> None:
    assert torch.allclose(nested(torch.randn(4, 8), 3).norm(dim=1), torch.ones(4))


def test_virtual_pictures_are_probabilities_without_background() -> None:
    silent_K = torch.tensor([True, *[False] * 6])
    mixed_BK = mixed_labels(np.random.default_rng(0), 50, silent_K)
    assert torch.allclose(mixed_BK.sum(dim=1), torch.ones(50))
    assert float(mixed_BK[:, 0].sum()) == 0.0
    assert bool((mixed_BK[:, 1:].sum(dim=0) > 0).all())


def test_without_background_every_label_is_mixed() -> None:
    mixed_BK = mixed_labels(np.random.default_rng(0), 50, torch.zeros(7, dtype=torch.bool))
    assert bool((mixed_BK.sum(dim=0) > 0).all())


def test_labels_recall_their_names_except_background(model: small_model.SmallModel) -> None:
    before = model.head.labels_KD.detach().clone()
    small_model.recall_names(model, share=0.5)
    change_KD = model.head.labels_KD.detach() - before
    assert float(change_KD[0].abs().sum()) == 0.0  # background
    names_KD = model.project(model.label_names_KH).detach()
    assert torch.allclose(change_KD[1:], 0.5 * names_KD[1:], atol=1e-6)


def test_wordings_are_plain_half_of_the_time(model: small_model.SmallModel) -> None:
    pooled = torch.zeros(6, 3, 12)
    pooled[:, 1:] = 1.0
    asked = SmallLosses(
        model, pooled, _targets(), dimensions=[8], weights=Weights(), kind="sigmoid"
    )
    rng = np.random.default_rng(0)
    worded = asked._worded(torch.zeros(3000, dtype=torch.int64), rng)
    plain_share = float((worded[:, 0] == 0).float().mean())
    # half of them at once, and a third of the rest by chance
    expected = small_losses._PLAIN_SHARE + (1 - small_losses._PLAIN_SHARE) / 3
    assert plain_share == pytest.approx(expected, abs=0.04)
