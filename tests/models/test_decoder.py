"""The decoder and its conditioning."""

from __future__ import annotations

import torch

from ds2f.models.conditioning import Condition, Conditioning
from ds2f.models.decoder import Decoder, DecoderConfig, linear_share, noise_for
from helpers import tiny_decoder


def test_shapes_and_an_untrained_decoder_predicts_the_mean_face() -> None:
    decoder = Decoder(DecoderConfig(size=32, patch=4, width=64, depth=1, heads=1))
    z = torch.randn(3, 3, 32, 32)
    out = decoder(z, torch.rand(3), {})
    assert out.shape == z.shape
    assert out.abs().max() < 1.0  # in normalised pixels 0 is the mean face


def test_normalise_and_back() -> None:
    decoder = tiny_decoder()
    decoder.image_mean.uniform_(-0.5, 0.5)
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(decoder.denormalise(decoder.normalise(pixels)), pixels)


@torch.no_grad()
def test_a_condition_that_is_not_given_has_no_influence_and_one_that_is_given_has() -> None:
    decoder, z, t = tiny_decoder(), torch.randn(2, 3, 16, 16), torch.full((2,), 0.5)
    one, other = (Condition.of(torch.randn(2, 128)) for _ in range(2))
    torch.testing.assert_close(decoder(z, t, {"identity": one.dropped()}), decoder(z, t, {"identity": other.dropped()}))
    torch.testing.assert_close(decoder(z, t, {"identity": one.dropped()}), decoder(z, t, {}))
    assert (decoder(z, t, {"identity": one}) - decoder(z, t, {"identity": other})).abs().max() > 1e-3


@torch.no_grad()
def test_rows_of_a_batch_do_not_touch_each_other() -> None:
    decoder, z, t = tiny_decoder(), torch.randn(4, 3, 16, 16), torch.rand(4)
    identity = torch.randn(4, 128)
    together = decoder(z, t, {"identity": Condition.of(identity)})
    alone = decoder(z[2:3], t[2:3], {"identity": Condition.of(identity[2:3])})
    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=1e-4)


def test_statistics_standardise_a_condition() -> None:
    conditioning = Conditioning({"identity": 3}, 16)
    values = torch.randn(500, 3) * torch.tensor([1.0, 5.0, 0.1]) + 7
    conditioning.set_statistics("identity", values)
    standard = (values - conditioning.identity_mean) / conditioning.identity_std
    torch.testing.assert_close(standard.std(0, unbiased=False), torch.ones(3))
    torch.testing.assert_close(standard.mean(0), torch.zeros(3), atol=1e-5, rtol=0)


def test_noise_that_grows_with_the_picture_hides_as_much_of_it() -> None:
    assert [noise_for(size) for size in (32, 64, 128, 256)] == [1, 1, 2, 4]
    small, large = (noise_for(size) * torch.randn(8, 3, size, size) for size in (64, 128))
    seen = torch.nn.functional.avg_pool2d(large, 2)  # what four pixels say together of one that is twice as wide
    assert abs(float(seen.std() / small.std()) - 1) < 0.02


def test_the_linear_face_keeps_its_share_of_the_exact_posterior() -> None:
    t, m, noise = torch.tensor([0.3]), 1.7, 2.0
    x = m + torch.randn(400_000, generator=torch.Generator().manual_seed(0))
    z = t * x + (1 - t) * noise * torch.randn(400_000, generator=torch.Generator().manual_seed(1))
    b = float((x - m).dot(z - t * m) / (z - t * m).square().sum())  # E[x | z] = m + b (z − t m), so a = 1 − b t
    assert abs(1 - b * float(t) - float(linear_share(t, noise))) < 0.01


def test_a_linear_face_of_few_pixels_is_enlarged() -> None:
    decoder = Decoder(DecoderConfig(size=32, patch=8, width=64, depth=1, heads=1, linear_size=8))
    decoder.linear_face.normal_(generator=torch.Generator().manual_seed(0))
    assert decoder.linear_face.shape == (128, 3 * 8 * 8)
    identity = Condition.of(torch.randn(2, 128))
    face = decoder.linear({"identity": identity})
    assert face is not None
    assert face.shape == (2, 3, 32, 32)
    small = (identity.value @ decoder.linear_face).unflatten(1, (3, 8, 8))
    torch.testing.assert_close(face.mean((2, 3)), small.mean((2, 3)), atol=1e-4, rtol=0.2)
