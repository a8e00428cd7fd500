"""The pairwise model: a picture tower, a phrase tower, and the similarity layers between them.

    pixels -> picture tower -> picture head -\\
                     |                          cosine -> logit
                     +-> caption decoder (training only)
    tokens -> phrase tower  -> phrase head --/

The paper's "pairwise" model with two towers that share no weights. `Pairwise` adds what a model
needs to be used: its tokenizer, and how pictures and phrases are prepared. Knows no losses, no
optimiser and no files.

Legend: B pictures, T texts, L tokens, S side in pixels, D dimensions.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from inkling_server.model_manifest import PixelSpec, TextSpec
from inkling_training.models.captions import CaptionDecoder, OpenClipDecoder
from inkling_training.models.dual_towers import (
    DualPhraseTower,
    DualPictureTower,
    OpenClipPhraseTower,
    OpenClipPictureTower,
)
from inkling_training.models.loaded import LoadedModel
from inkling_training.models.similarity import Similarity, nested
from inkling_training.models.towers import PhraseTower, PictureFeatures, PictureTower

AnyPictureTower = PictureTower | DualPictureTower | OpenClipPictureTower
AnyPhraseTower = PhraseTower | DualPhraseTower | OpenClipPhraseTower
AnyDecoder = CaptionDecoder | OpenClipDecoder
_PICTURE_TOWERS: dict[str, type[Any]] = {
    "backbone": PictureTower,
    "dual": DualPictureTower,
    "open_clip": OpenClipPictureTower,
}
_PHRASE_TOWERS: dict[str, type[Any]] = {
    "backbone": PhraseTower,
    "dual": DualPhraseTower,
    "open_clip": OpenClipPhraseTower,
}


class PairwiseModel(nn.Module):
    """Towers, similarity layers and, in training, perhaps a caption decoder."""

    def __init__(
        self,
        pictures: AnyPictureTower,
        phrases: AnyPhraseTower,
        similarity: Similarity,
        decoder: AnyDecoder | None = None,
    ) -> None:
        super().__init__()
        self.pictures, self.phrases, self.similarity = pictures, phrases, similarity
        self.decoder = decoder

    def embed_pictures(self, pixels_BSSC: Tensor) -> Tensor:
        """uint8 [B, S, S, 3] -> [B, D], rows of length 1."""
        return self.embed_features(self.pictures(pixels_BSSC))

    def embed_features(self, features: PictureFeatures) -> Tensor:
        """What the picture tower gave -> [B, D], rows of length 1."""
        embeddings_BD: Tensor = self.similarity.picture_head(features)
        return embeddings_BD

    def embed_phrases(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 [T, L] twice -> [T, D], rows of length 1."""
        embeddings_TD: Tensor = self.similarity.phrase_head(self.phrases(input_ids, attention_mask))
        return embeddings_TD

    def document(self) -> dict[str, Any]:
        """What rebuilds this model, but for its weights: JSON."""
        return {
            "picture_tower": self.pictures.document(),
            "phrase_tower": self.phrases.document(),
            "similarity": self.similarity.document(),
            "decoder": None if self.decoder is None else self.decoder.document(),
        }

    @classmethod
    def built(cls, document: dict[str, Any]) -> "PairwiseModel":
        """The model of a document, with random weights. Raises KeyError for an unknown kind."""
        described = document["picture_tower"], document["phrase_tower"]
        pictures = _PICTURE_TOWERS[described[0]["kind"]].built(described[0])
        phrases = _PHRASE_TOWERS[described[1]["kind"]].built(described[1])
        if isinstance(pictures, OpenClipPictureTower):  # one model with two halves
            phrases.backbone.model = pictures.backbone.model
        decoder: AnyDecoder | None = None
        if document["decoder"] is not None:
            if document["decoder"]["kind"] == "open_clip":
                decoder = OpenClipDecoder(pictures.backbone.model)
            else:
                decoder = CaptionDecoder.built(document["decoder"])
        return cls(pictures, phrases, Similarity.built(document["similarity"]), decoder)


class PictureEncoder(nn.Module):
    """uint8 [B, S, S, 3] -> float32 [B, D], rows of length 1: what is exported."""

    def __init__(self, model: PairwiseModel, dimension: int) -> None:
        super().__init__()
        self.tower, self.head, self.dimension = (
            model.pictures,
            model.similarity.picture_head,
            dimension,
        )

    def forward(self, pixels: Tensor) -> Tensor:
        return nested(self.head(self.tower(pixels)), self.dimension)


class PhraseEncoder(nn.Module):
    """int64 tokens and mask [B, L] -> float32 [B, D], rows of length 1: what is exported."""

    def __init__(self, model: PairwiseModel, dimension: int) -> None:
        super().__init__()
        self.tower, self.head, self.dimension = (
            model.phrases,
            model.similarity.phrase_head,
            dimension,
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return nested(self.head(self.tower(input_ids, attention_mask)), self.dimension)


@dataclass(frozen=True, slots=True)
class Pairwise:
    """A pairwise model with all that it takes to use it.

    Attributes:
        tokenizer: a fast Hugging Face tokenizer.
        image: how a picture becomes the model's pixels.
        text: how a phrase becomes the model's numbers.
        name: what answers call it.
        source: what it was made from, for people.
    """

    model: PairwiseModel
    tokenizer: Any
    image: PixelSpec
    text: TextSpec
    name: str
    source: str = ""

    def loaded(self, dimension: int | None = None) -> LoadedModel:
        """The two encoders, in eval mode, at one of the nested sizes (default: the whole).

        Raises:
            ValueError: a size that the model was not trained for.
        """
        similarity = self.model.similarity
        size = similarity.dimension if dimension is None else dimension
        if size not in similarity.dimensions:
            raise ValueError(
                f"{self.name} was not trained for {size} dimensions: choose one of "
                f"{', '.join(map(str, similarity.dimensions))}"
            )
        self.model.eval()
        return LoadedModel(
            name=self.name,
            vision=PictureEncoder(self.model, size).eval(),
            text=PhraseEncoder(self.model, size).eval(),
            tokenizer=self.tokenizer,
            image=self.image,
            text_spec=self.text,
            dimension=size,
            logit_scale=float(similarity.scale().detach()),
            logit_bias=float(similarity.bias.detach()),
            source=self.source,
        )
