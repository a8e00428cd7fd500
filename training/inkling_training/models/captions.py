"""Writes captions word by word while looking at a picture's regions: for training only.

    tokens before i [B, i] -> (self-attention, attention to regions, MLP) x N -> logits

Learning to say a caption teaches a tower what is where, which a single vector's loss does not ask.
The decoder is never exported. Source: Yu et al., "CoCa: Contrastive Captioners are Image-Text
Foundation Models" (2022). This module knows no towers and no losses.

Legend: B pictures, P regions, C channels, L tokens, H decoder width, W words of the vocabulary.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class CaptionGuess(NamedTuple):
    """Logits [B, L, W] for the tokens [B, L], each made without seeing its token or later ones.

    `counted_BL` is False where a token is padding, or was given and not guessed.
    """

    logits_BLW: Tensor
    targets_BL: Tensor
    counted_BL: Tensor


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """Sizes of a decoder: W, C, and its own.

    Attributes:
        vocabulary: W.
        features: C of the regions that it looks at.
        max_tokens: longest caption.
        width: H, a multiple of `heads`.
    """

    vocabulary: int
    features: int
    max_tokens: int = 64
    width: int = 256
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1


class CaptionDecoder(nn.Module):
    """A small transformer decoder; its word table serves both ways, in and out."""

    causal_LL: Tensor

    def __init__(self, spec: DecoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.words = nn.Embedding(spec.vocabulary, spec.width)
        self.places = nn.Embedding(spec.max_tokens, spec.width)
        self.start = nn.Parameter(torch.randn(spec.width) * 0.02)
        self.look = nn.Sequential(nn.Linear(spec.features, spec.width), nn.LayerNorm(spec.width))
        layer = nn.TransformerDecoderLayer(
            spec.width,
            spec.heads,
            4 * spec.width,
            spec.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerDecoder(layer, spec.layers, nn.LayerNorm(spec.width))
        nn.init.normal_(self.words.weight, std=0.02)
        later_LL = torch.ones(spec.max_tokens, spec.max_tokens, dtype=torch.bool).triu(1)
        self.register_buffer("causal_LL", later_LL, persistent=False)

    def forward(self, regions_BPC: Tensor, tokens_BL: Tensor, mask_BL: Tensor) -> CaptionGuess:
        """Guesses each token from those before it; longer captions than allowed are cut."""
        tokens_BL, mask_BL = (
            tokens_BL[:, : self.spec.max_tokens],
            mask_BL[:, : self.spec.max_tokens],
        )
        batch, length = tokens_BL.shape
        start_B1H = self.start.expand(batch, 1, -1)
        said_BLH = torch.cat([start_B1H, self.words(tokens_BL[:, :-1])], dim=1)
        said_BLH = said_BLH + self.places.weight[:length]
        states_BLH = self.layers(
            said_BLH,
            self.look(regions_BPC),
            tgt_mask=self.causal_LL[:length, :length],
            tgt_is_causal=True,
        )
        return CaptionGuess(states_BLH @ self.words.weight.T, tokens_BL, mask_BL > 0)

    def document(self) -> dict[str, Any]:
        """What rebuilds this decoder, but for its weights."""
        return {"kind": "own"} | asdict(self.spec)

    @classmethod
    def built(cls, document: dict[str, Any]) -> "CaptionDecoder":
        """The decoder of a document, with random weights."""
        return cls(DecoderSpec(**{key: value for key, value in document.items() if key != "kind"}))


class OpenClipDecoder(nn.Module):
    """The decoder inside an open_clip CoCa model, whose towers are its own.

    Its `_encode_text` gives the state of every token, and `text_decoder` turns those and the
    picture's tokens into logits: the two steps of that package's own forward.
    """

    def __init__(self, model: Any) -> None:
        """Raises ValueError: the model is no CoCa."""
        super().__init__()
        if not hasattr(model, "text_decoder"):
            raise ValueError("this open_clip model has no caption decoder: only CoCa models have")
        self.model = model

    def forward(self, regions_BPC: Tensor, tokens_BL: Tensor, mask_BL: Tensor) -> CaptionGuess:
        length = int(self.model.context_length)
        rows_BL = torch.nn.functional.pad(
            torch.where(mask_BL > 0, tokens_BL, self.model.pad_id)[:, :length],
            (0, max(0, length - tokens_BL.shape[1])),
            value=self.model.pad_id,
        )
        _, states_BLH = self.model._encode_text(rows_BL)
        logits_BLW = self.model.text_decoder(regions_BPC, states_BLH[:, :-1])
        targets_BL = rows_BL[:, 1:]
        return CaptionGuess(logits_BLW, targets_BL, targets_BL != self.model.pad_id)

    def document(self) -> dict[str, Any]:
        """Says that the decoder is the towers' own."""
        return {"kind": "open_clip"}
