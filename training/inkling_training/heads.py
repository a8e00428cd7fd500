"""Region features to picture embeddings: the "similarity layers" on the vision side.

`ConseHead` starts from what a classifier already knows: the embedding of a picture is the mean of
its labels' text embeddings, weighted by the classifier's probabilities, plus what learning adds.
Backbones without a classifier, like CLIP's, have `models.similarity.ProjectionHead`.

Source: Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings" (2014).

Legend: B pictures, P regions (0 = whole), C feature channels, X = 2 C, K labels, D embedding
dimensions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SOFT_TEMPERATURE = 2.0


class ConseHead(nn.Module):
    """normalise(sharp probabilities @ labels + soft probabilities @ contexts + MLP(features)).

    Sharp probabilities say which thing it is; soft ones, of a hotter softmax over the same logits,
    let the many half-likely labels vote on where it is and who is there.
    """

    def __init__(self, classifier: nn.Linear, labels_KD: Tensor, hidden: int = 512) -> None:
        """Args:
        classifier: stays frozen; its first output may be "background", see `labels_KD`.
        labels_KD: text embedding of each output; an all-zero row leaves that output out.
        """
        super().__init__()
        channels, dimension = classifier.in_features, labels_KD.shape[1]
        self.classifier = nn.Linear(channels, classifier.out_features)
        self.classifier.load_state_dict(classifier.state_dict())
        self.classifier.requires_grad_(requires_grad=False)
        with torch.no_grad():
            self.classifier.bias[labels_KD.abs().sum(dim=1) == 0] = -1e4
        self.labels_KD = nn.Parameter(labels_KD.clone())
        self.contexts_KD = nn.Parameter(torch.zeros_like(labels_KD))
        last = nn.Linear(hidden, dimension)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        widen = nn.Linear(2 * channels, hidden)
        self.mlp = nn.Sequential(nn.Dropout(0.2), widen, nn.GELU(), nn.Dropout(0.2), last)

    def forward(self, features_BPC: Tensor) -> Tensor:
        """[B, P, C] -> [B, D], rows of length 1."""
        return self.embed(*self.evidence(features_BPC))

    def evidence(self, features_BPC: Tensor) -> tuple[Tensor, Tensor]:
        """What no training changes, worth caching: the classifier's logits and the MLP's input [B,
        2C].
        """
        whole_BC = features_BPC[:, 0]
        return self.classifier(whole_BC), torch.cat([whole_BC, features_BPC.amax(dim=1)], dim=-1)

    def embed(
        self, logits_BK: Tensor, summary_BX: Tensor, mlp_share_B1: Tensor | float = 1.0
    ) -> Tensor:
        """Evidence -> [B, D], rows of length 1; `mlp_share_B1` = 0 silences the MLP in training."""
        told_BD = self.opinion(
            logits_BK.softmax(dim=-1), (logits_BK / SOFT_TEMPERATURE).softmax(dim=-1)
        )
        return functional.normalize(told_BD + mlp_share_B1 * self.mlp(summary_BX), dim=-1)

    def opinion(self, sharp_BK: Tensor, soft_BK: Tensor) -> Tensor:
        """The classifier's part of the embedding, [B, D], not normalised."""
        return sharp_BK @ self.labels_KD + soft_BK @ self.contexts_KD
