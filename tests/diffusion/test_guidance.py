"""Classifier-free guidance, on a decoder whose conditions have been made to matter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ds2f.diffusion.conditions import Condition, Conditions
from ds2f.diffusion.guidance import Guidance, guided
from ds2f.models.decoder import Decoder
from helpers import tiny_decoder


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


Z, T = _random(2, 3, 16, 16, seed=0), torch.full((2,), 0.5)
CONDITIONS = {
    "identity": Condition.of(_random(2, 128, seed=1)),
    "age": Condition.of(_random(2, 1, seed=2)),
    "guide": Condition.of(_random(2, 3, 16, 16, seed=3)),
    "coverage": Condition.of(torch.full((2, 1), 0.3)),
}


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return tiny_decoder(every_condition=True)


def _with(decoder: Decoder, *names: str) -> Tensor:
    given: Conditions = {name: CONDITIONS[name] for name in (*names, "coverage")}
    with torch.no_grad():
        return decoder(Z, T, given)


def _guided(decoder: Decoder, guidance: Guidance) -> Tensor:
    with torch.no_grad():
        return guided(decoder, CONDITIONS, guidance)(Z, T)


def test_one_weight_for_all(decoder: Decoder) -> None:
    conditional, without = _with(decoder, *CONDITIONS), _with(decoder)
    torch.testing.assert_close(_guided(decoder, Guidance(1.0)), conditional)
    torch.testing.assert_close(_guided(decoder, Guidance(0.0)), without)
    torch.testing.assert_close(_guided(decoder, Guidance(3.0)), without + 3 * (conditional - without))
    assert (conditional - without).abs().max() > 1e-3


def test_a_weight_for_each(decoder: Decoder) -> None:
    found = _guided(decoder, Guidance(1.5, {"guide": 1.0, "identity": 3.0}))
    nothing, guide = _with(decoder), _with(decoder, "guide")
    with_age, everything = _with(decoder, "guide", "age"), _with(decoder, *CONDITIONS)
    expected = nothing + 1.0 * (guide - nothing) + 1.5 * (with_age - guide) + 3.0 * (everything - with_age)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_weight_zero_is_as_if_the_condition_were_not_given(decoder: Decoder) -> None:
    found = _guided(decoder, Guidance(1.0, {"guide": 0.0}))
    without = _with(decoder)
    guide = _with(decoder, "guide")
    torch.testing.assert_close(found, without + _with(decoder, *CONDITIONS) - guide, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("guidance", "evaluations"),
    [
        (Guidance(1.0), 1),
        (Guidance(2.0), 2),
        (Guidance(2.0, {"guide": 1.0}), 2),
        (Guidance(2.0, {"guide": 1.0, "age": 4.0}), 3),
        (Guidance(2.0, start=0.6), 1),
    ],
)
def test_the_cost_in_evaluations(
    decoder: Decoder, guidance: Guidance, evaluations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    whole = Decoder.forward

    def counting(self: Decoder, z: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        seen.append(len(z))
        return whole(self, z, t, conditions)

    monkeypatch.setattr(Decoder, "forward", counting)
    _guided(decoder, guidance)
    assert seen == [2 * evaluations]


def test_outside_its_interval_there_is_no_guidance(decoder: Decoder) -> None:
    conditional = _with(decoder, *CONDITIONS)
    torch.testing.assert_close(_guided(decoder, Guidance(3.0, start=0.6)), conditional)
    torch.testing.assert_close(_guided(decoder, Guidance(3.0, end=0.4)), conditional)
    assert (_guided(decoder, Guidance(3.0, start=0.4, end=0.6)) - conditional).abs().max() > 1e-3
