"""One piece of a step: a batch to the losses that the loop goes down.

    batch -> embeddings -> (all ranks') -> for each nested size: logits -> losses
          -> regions, captions -> caption loss

Accumulating pieces of a contrastive batch is not the same as one large batch: each piece has its
own negatives only. `cached` makes it the same at the price of a second forward pass: embeddings of
all pieces without gradients, the large batch's loss and its gradient at each embedding, then each
piece again with that gradient put in. Source: Gao et al., "Scaling Deep Contrastive Learning Batch
Size under Memory Limited Setup" (2021), GradCache.

This module knows no optimiser; the loop calls it.

Legend: B pictures, T texts, D dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inkling_training import losses
from inkling_training.fit.batches import Batch, Batches
from inkling_training.fit.distributed import World, gather_rows
from inkling_training.fit.randomness import generator_states, restore_generators
from inkling_training.fit.relations import Known, Neighbours, Relations
from inkling_training.models.pairwise import PairwiseModel
from inkling_training.models.similarity import nested

CONTRASTS = ("infonce", "sigmoid", "margin")
LOSSES = (*CONTRASTS, "caption")


@dataclass(frozen=True, slots=True)
class Objective:
    """Which losses count how much; `margin` is the margin loss's, in (0, 2]."""

    weights: Mapping[str, float]
    margin: float = 1.0

    @classmethod
    def parsed(cls, text: str, margin: float = 1.0) -> "Objective":
        """Reads "infonce", "sigmoid,caption:2", ...

        Raises:
            ValueError: an unknown loss, a weight that is none, or no contrastive loss.
        """
        weights: dict[str, float] = {}
        for part in text.split(","):
            name, _, weight = part.partition(":")
            if name not in LOSSES:
                raise ValueError(f"loss {name!r}: must be one of {', '.join(LOSSES)}")
            try:
                weights[name] = float(weight or 1)
            except ValueError:
                raise ValueError(f"loss {part!r}: {weight!r} is not a number") from None
            if weights[name] <= 0:
                raise ValueError(f"loss {part!r}: its weight must be greater than 0")
        if not any(name in weights for name in CONTRASTS):
            raise ValueError(f"losses {text!r}: one of {', '.join(CONTRASTS)} must be among them")
        return cls(weights, margin)


def contrast(
    model: PairwiseModel,
    pictures_BD: Tensor,
    phrases_TD: Tensor,
    relations: Relations,
    objective: Objective,
) -> dict[str, Tensor]:
    """Each contrastive loss, averaged over the nested sizes (Kusupati et al. 2022, equation 1)."""
    similarity = model.similarity
    sizes = similarity.dimensions
    totals: dict[str, Tensor] = {}
    for size in sizes:
        pictures, phrases = nested(pictures_BD.float(), size), nested(phrases_TD.float(), size)
        logits_BT = similarity.logits(pictures, phrases)
        for name in CONTRASTS:
            if name not in objective.weights:
                continue
            if name == "infonce":
                value = losses.infonce_loss(logits_BT, *relations)
            elif name == "sigmoid":
                value = losses.sigmoid_loss(logits_BT, *relations)
            else:
                with torch.autocast(pictures.device.type, enabled=False):
                    cosines_BT = pictures @ phrases.T
                weights_BT, ignored_BT = relations
                value = losses.margin_contrastive_loss(
                    cosines_BT, weights_BT, objective.margin, ignored_BT
                )
            totals[name] = totals.get(name, value.new_zeros(())) + value / len(sizes)
    return totals


@dataclass(slots=True)
class _Cache:
    """What the first pass over a large batch leaves for the second."""

    batches: list[Batch]
    generators: list[dict[str, object]]
    slopes: list[tuple[Tensor, Tensor]]
    figures: dict[str, Tensor]
    layers: Sequence[tuple[Tensor, Tensor]] = ()


class PairwiseStep:
    """The step function of a pairwise model; see `fit.loop`."""

    def __init__(
        self,
        model: PairwiseModel,
        batches: Batches,
        neighbours: Neighbours,
        objective: Objective,
        *,
        world: World | None = None,
        accumulate: int = 1,
        cached: bool = False,
    ) -> None:
        """Args:
        accumulate: pieces of a step.
        cached: negatives are the whole step's, and not each piece's alone.

        Raises:
            ValueError: the caption loss without a decoder.
        """
        if "caption" in objective.weights and model.decoder is None:
            raise ValueError("the caption loss needs a model with a decoder")
        self._model, self._batches, self._neighbours = model, batches, neighbours
        self._objective, self._accumulate = objective, accumulate
        self._cached = cached and accumulate > 1
        self._world = world or World()
        self._cache: _Cache | None = None

    def __call__(self, step: int, piece: int) -> dict[str, Tensor]:
        if not self._cached:
            return self._alone(self._batch(step, piece))
        if piece == 0:
            self._cache = self._first_pass(step)
        assert self._cache is not None, "pieces of a step come in order"
        return self._second_pass(self._cache, piece)

    def _batch(self, step: int, piece: int) -> Batch:
        return self._batches.batch(step, piece).on(self._world.device)

    def _alone(self, batch: Batch) -> dict[str, Tensor]:
        pictures_BD, phrases_TD, figures = self._encoded(batch)
        relations = self._relate([batch])
        figures |= contrast(
            self._model,
            gather_rows(pictures_BD),
            gather_rows(phrases_TD),
            relations,
            self._objective,
        )
        return self._with_total(figures)

    def _encoded(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Embeddings of pictures and texts; the caption loss where it is asked for."""
        model, figures = self._model, dict[str, Tensor]()
        features = model.pictures(batch.pixels_BSSC)
        if batch.captions is not None and model.decoder is not None:
            regions_BPC = features.regions_BPC
            if regions_BPC.shape[1] == 0:
                regions_BPC = features.pooled_BC.unsqueeze(1)
            guess = model.decoder(regions_BPC, *batch.captions)
            figures["caption"] = losses.caption_loss(*guess)
        phrases_TD = model.embed_phrases(batch.input_ids_TL, batch.attention_mask_TL)
        return model.embed_features(features), phrases_TD, figures

    def _relate(self, batches: list[Batch]) -> Relations:
        """Of all pieces' pictures and texts, all ranks'; ordered as their gathered embeddings."""
        known = Known(
            *(
                gather_rows(torch.cat([batch.known[part] for batch in batches]))
                for part in range(len(Known._fields))
            )
        )
        texts_T = gather_rows(torch.cat([batch.texts_T for batch in batches]))
        return self._neighbours.relate(known, texts_T)

    def _with_total(self, figures: dict[str, Tensor]) -> dict[str, Tensor]:
        weights = self._objective.weights
        total = sum(weights[name] * value for name, value in figures.items())
        assert isinstance(total, Tensor)
        return {"loss": total} | figures

    def _first_pass(self, step: int) -> _Cache:
        batches, generators, pictures, phrases = [], [], [], []
        with torch.no_grad():
            for piece in range(self._accumulate):
                batch = self._batch(step, piece)
                batches.append(batch)
                generators.append(generator_states())
                pictures_BD, phrases_TD, _ = self._encoded(batch)
                pictures.append(pictures_BD.requires_grad_())
                phrases.append(phrases_TD.requires_grad_())
        # Autocast remembers weights that it cast without gradients; the second pass needs them.
        torch.clear_autocast_cache()
        layers = [
            one
            for one in (self._model.similarity.log_scale, self._model.similarity.bias)
            if one.requires_grad
        ]
        figures = contrast(
            self._model,
            gather_rows(torch.cat(pictures)),
            gather_rows(torch.cat(phrases)),
            self._relate(batches),
            self._objective,
        )
        loss = self._with_total(figures)["loss"]
        slopes = torch.autograd.grad(loss, [*pictures, *phrases, *layers], allow_unused=True)
        count = self._accumulate
        both = [
            (_or_zero(slopes[one], pictures[one]), _or_zero(slopes[count + one], phrases[one]))
            for one in range(count)
        ]
        own = [
            (one, _or_zero(slope, one))
            for one, slope in zip(layers, slopes[2 * count :], strict=True)
        ]
        return _Cache(
            batches,
            generators,
            both,
            {name: value.detach() for name, value in figures.items()},
            own,
        )

    def _second_pass(self, cache: _Cache, piece: int) -> dict[str, Tensor]:
        restore_generators(cache.generators[piece])
        pictures_BD, phrases_TD, figures = self._encoded(cache.batches[piece])
        to_pictures, to_phrases = cache.slopes[piece]
        # Its gradient is the large batch's; the loop divides by the pieces, so multiply by them.
        slope = (pictures_BD * to_pictures).sum() + (phrases_TD * to_phrases).sum()
        if piece == 0:
            slope = slope + sum((one * its).sum() for one, its in cache.layers)
        told = self._with_total(figures | cache.figures)
        surrogate = slope * self._accumulate
        told["loss"] = told["loss"] + surrogate - surrogate.detach()
        return told


def _or_zero(slope: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if slope is None else slope
