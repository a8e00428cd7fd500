"""The caption decoder sees the past and the picture, and nothing of the future."""

import pytest
import torch

from inkling_training import losses
from inkling_training.models.captions import CaptionDecoder, DecoderSpec

pytestmark = pytest.mark.training
SPEC = DecoderSpec(vocabulary=11, features=6, max_tokens=5, width=16, layers=1, heads=2)


def test_a_guess_depends_on_earlier_words_and_the_picture_alone() -> None:
    torch.manual_seed(0)
    decoder = CaptionDecoder(SPEC).eval()
    regions = torch.randn(1, 3, 6)
    tokens, mask = torch.tensor([[1, 2, 3, 4]]), torch.ones(1, 4, dtype=torch.int64)
    guess = decoder(regions, tokens, mask)
    assert guess.logits_BLW.shape == (1, 4, 11)
    later = decoder(regions, torch.tensor([[1, 2, 9, 4]]), mask)
    torch.testing.assert_close(later.logits_BLW[:, :3], guess.logits_BLW[:, :3])
    assert not torch.allclose(later.logits_BLW[:, 3], guess.logits_BLW[:, 3])
    other = decoder(regions + 1, tokens, mask)
    assert not torch.allclose(other.logits_BLW[:, 0], guess.logits_BLW[:, 0])


def test_long_captions_are_cut_and_padding_does_not_count() -> None:
    decoder = CaptionDecoder(SPEC).eval()
    tokens = torch.ones(2, 8, dtype=torch.int64)
    mask = torch.tensor([[1] * 8, [1, 1] + [0] * 6])
    guess = decoder(torch.randn(2, 1, 6), tokens, mask)
    assert guess.targets_BL.shape == (2, 5)
    assert guess.counted_BL.sum().item() == 7


def test_it_learns_which_picture_says_what() -> None:
    torch.manual_seed(0)
    decoder = CaptionDecoder(SPEC).train()
    regions = torch.eye(6)[:2].unsqueeze(1) * 3
    tokens, mask = torch.tensor([[3, 4, 5], [6, 4, 7]]), torch.ones(2, 3, dtype=torch.int64)
    optimiser = torch.optim.Adam(decoder.parameters(), 0.01)
    for _ in range(60):
        optimiser.zero_grad()
        losses.caption_loss(*decoder(regions, tokens, mask)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    guess = decoder.eval()(regions, tokens, mask)
    assert torch.equal(guess.logits_BLW.argmax(dim=2), tokens)
