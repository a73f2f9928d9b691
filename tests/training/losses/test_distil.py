"""Distance to the teacher: nothing where there is none, and measured by how far the teacher's own lie apart."""

from __future__ import annotations

import pytest
import torch

from ds2f.training.losses.distil import departure


def test_it_is_a_share_of_the_spread() -> None:
    x = torch.eye(4)
    assert departure(x, x).item() == 0
    centre = torch.ones(4, 4)
    assert departure(centre, x).item() == pytest.approx(4 * (2 - 2 * 0.5) / 3)


def test_only_directions_count() -> None:
    torch.manual_seed(0)
    found, wanted = torch.randn(8, 5), torch.randn(8, 5)
    cosine = torch.nn.functional.cosine_similarity(found, wanted)
    apart = torch.nn.functional.normalize(wanted, dim=1)
    spread = (apart - apart.mean(0)).square().sum()
    assert departure(3 * found, wanted).item() == pytest.approx((2 * (1 - cosine).sum() / spread).item(), rel=1e-5)
