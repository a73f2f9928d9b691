"""Classifier-free guidance, on a decoder whose conditions have been made to matter."""

from __future__ import annotations

import torch

from ds2f.diffusion.guidance import guided
from ds2f.models.conditioning import Condition
from helpers import tiny_decoder

Z, T = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.full((2,), 0.5)
CONDITIONS = {
    "identity": Condition.of(torch.randn(2, 128, generator=torch.Generator().manual_seed(1))),
    "coverage": Condition.of(torch.full((2, 1), 0.3)),
}


@torch.no_grad()
def test_weight_one_is_conditional_and_zero_is_without_the_identity_only() -> None:
    decoder = tiny_decoder()
    conditional = decoder(Z, T, CONDITIONS)
    without = decoder(Z, T, {**CONDITIONS, "identity": CONDITIONS["identity"].dropped()})
    torch.testing.assert_close(guided(decoder, CONDITIONS, 1.0)(Z, T), conditional)
    torch.testing.assert_close(guided(decoder, CONDITIONS, 0.0)(Z, T), without)
    torch.testing.assert_close(guided(decoder, CONDITIONS, 3.0)(Z, T), without + 3 * (conditional - without))
    assert (conditional - without).abs().max() > 1e-3
