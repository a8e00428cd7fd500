"""Steps: nested sizes, captions, and pieces of a batch that know of each other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inkling_training import losses
from inkling_training.augment.pictures import decode_whole
from inkling_training.fit.batches import Batches, Makers, Plan, gather_facts
from inkling_training.fit.groups import Rates, parameter_groups
from inkling_training.fit.loop import Loop, LoopSettings
from inkling_training.fit.relations import Neighbours, Relations
from inkling_training.fit.steps import Objective, PairwiseStep, contrast
from inkling_training.fit.validation import Validation
from inkling_training.models.lora import Tuning, prepare
from inkling_training.models.pairwise import Pairwise
from inkling_training.models.similarity import nested
from inkling_training.models.start import Layers, from_source, from_towers, tokens_of, with_decoder
from tests.training import tiny_towers
from tests.training.fit import tiny_pairs
from tests.training.models import tiny

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers", "ignore::DeprecationWarning"),
]
GRAPH = tiny_pairs.graph()
ROW_OF = {interest.id: row for row, interest in enumerate(GRAPH.interests)}
PAIRS = tiny_pairs.FakePairs(tiny_pairs.samples())
PHRASES = [interest.phrase for interest in GRAPH.interests]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.save_clip(tmp_path_factory.mktemp("clip"))


def _pairwise(clip: str, dimensions: tuple[int, ...] = (), caption: bool = False) -> Pairwise:
    torch.manual_seed(0)
    pairwise = from_source(clip, Layers(dimensions), PHRASES)
    return with_decoder(pairwise, width=16, layers=1) if caption else pairwise


def _step(pairwise: Pairwise, loss: str, pieces: int, batch: int, cached: bool) -> PairwiseStep:
    makers = Makers(
        lambda picture, rng: np.roll(decode_whole(picture), int(rng.integers(9)), axis=1),
        lambda row, rng: PHRASES[row] if rng.random() < 0.5 else f"a {PHRASES[row]}",
        lambda sample, rng: sample.captions[0],
        lambda texts: tokens_of(pairwise, texts),
        len(PHRASES),
    )
    plan = Plan(batch, pieces, 50, seed=1, captions="caption" in loss, workers=0)
    batches = Batches(PAIRS, gather_facts(PAIRS, "train", ROW_OF), makers, plan)
    return PairwiseStep(
        pairwise.model,
        batches,
        Neighbours(GRAPH, 0.6),
        Objective.parsed(loss),
        accumulate=pieces,
        cached=cached,
    )


def _gradients(pairwise: Pairwise, step_fn: PairwiseStep, pieces: int) -> dict[str, Tensor]:
    pairwise.model.train().zero_grad()
    for piece in range(pieces):
        (step_fn(0, piece)["loss"] / pieces).backward()  # type: ignore[no-untyped-call]
    return {
        name: value.grad.clone()
        for name, value in pairwise.model.named_parameters()
        if value.grad is not None
    }


@pytest.mark.parametrize("loss", ["infonce", "sigmoid,infonce:0.5", "margin"])
def test_cached_pieces_have_the_gradient_of_one_large_batch(clip: str, loss: str) -> None:
    pairwise = _pairwise(clip, (16, 8))
    large = _gradients(pairwise, _step(pairwise, loss, 1, 8, cached=False), 1)
    pieces = _gradients(pairwise, _step(pairwise, loss, 4, 2, cached=True), 4)
    apart = _gradients(pairwise, _step(pairwise, loss, 4, 2, cached=False), 4)
    assert set(large) <= set(pieces)
    for name, wanted in large.items():
        torch.testing.assert_close(pieces[name], wanted, atol=2e-6, rtol=1e-3, msg=name)
    assert any(not torch.allclose(apart[name], large[name], atol=1e-4) for name in large)


def test_cached_pieces_see_the_same_dropout_twice(clip: str) -> None:
    pairwise = _pairwise(clip, caption=True)
    step_fn = _step(pairwise, "infonce,caption", 2, 4, cached=True)
    head = pairwise.model.similarity.picture_head
    noisy = nn.Dropout(0.5)
    head.register_forward_pre_hook(
        lambda _, args: (args[0]._replace(pooled_BC=noisy(args[0].pooled_BC)),)
    )
    seen: list[Tensor] = []
    head.register_forward_hook(lambda _module, _args, output: seen.append(output.detach()))
    pairwise.model.train()
    for piece in range(2):
        step_fn(0, piece)
    first, second = seen[:2], seen[2:]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])


def test_nested_sizes_are_averaged(clip: str) -> None:
    model = _pairwise(clip, (16, 4)).model.eval()
    pictures, phrases = (torch.nn.functional.normalize(torch.randn(3, 16), dim=1) for _ in range(2))
    relations = Relations(torch.eye(3), torch.zeros(3, 3, dtype=torch.bool))
    told = contrast(model, pictures, phrases, relations, Objective.parsed("infonce"))
    wanted = [
        losses.infonce_loss(
            model.similarity.logits(nested(pictures, size), nested(phrases, size)), torch.eye(3)
        )
        for size in (16, 4)
    ]
    torch.testing.assert_close(told["infonce"], sum(wanted, torch.zeros(())) / 2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cached", [False, True])
def test_it_learns_colours(clip: str, precision: str, cached: bool) -> None:
    pairwise = _pairwise(clip, (16, 8), caption=True)
    prepare(pairwise.model, Tuning("full"))
    facts = gather_facts(PAIRS, "val", ROW_OF)
    validation = Validation(
        pairwise.model,
        PAIRS,
        facts,
        Neighbours(GRAPH, 0.6),
        pixels=decode_whole,
        tokens=lambda rows: tokens_of(pairwise, [PHRASES[row] for row in rows]),
        device=torch.device("cpu"),
    )
    loop = Loop(
        pairwise.model,
        parameter_groups(pairwise.model, Rates(heads=3e-3, towers=3e-3)),
        LoopSettings(30, accumulate=2, precision=precision),  # type: ignore[arg-type]
        seed=0,
    )
    loop.run(_step(pairwise, "infonce,caption", 2, 4, cached))
    pairwise.model.eval()
    assert validation()["val_recall_at_1"] >= 0.75


def test_an_objective_is_read() -> None:
    assert Objective.parsed("infonce,caption:2").weights == {"infonce": 1.0, "caption": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("triplet", "must be one of infonce, sigmoid, margin, caption"),
        ("caption", "one of infonce, sigmoid, margin must be among them"),
        ("infonce:x", "'x' is not a number"),
        ("infonce:0", "greater than 0"),
    ],
)
def test_other_objectives_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objective.parsed(text)


def test_the_caption_loss_needs_a_decoder(clip: str) -> None:
    with pytest.raises(ValueError, match="needs a model with a decoder"):
        _step(_pairwise(clip), "infonce,caption", 1, 4, cached=False)


def test_lower_blocks_learn_slower_and_biases_do_not_decay(tmp_path: Path) -> None:
    vision = tiny.save_vit(tmp_path / "vision")
    text = tiny_towers.save_text_model(tmp_path / "text")
    model = from_towers(vision, text, Layers((16,)), PHRASES).model
    prepare(model, Tuning("full"))
    groups = parameter_groups(model, Rates(1.0, 0.1, layer_decay=0.5, weight_decay=0.2))
    rates = {
        id(parameter): (group.learning_rate, group.weight_decay)
        for group in groups
        for parameter in group.parameters
    }
    assert len(rates) == len(list(model.parameters()))
    named = dict(model.named_parameters())

    def told(start: str, end: str) -> tuple[float, float]:
        name = next(one for one in named if one.startswith(start) and one.endswith(end))
        return rates[id(named[name])]

    assert told("similarity.log_scale", "") == (1.0, 0.0)
    assert told("similarity.phrase_head", "weight") == (1.0, 0.2)
    assert told("pictures.backbone.layernorm", "weight") == (0.1, 0.0)
    assert told("pictures.backbone.embeddings.patch", "weight") == (0.1 / 8, 0.2)
    blocks = [
        told(f"phrases.backbone.encoder.layer.{number}.", "query.weight") for number in range(2)
    ]
    assert blocks == [(0.05, 0.2), (0.1, 0.2)]
