"""PSNR and SSIM against scikit-image, torchmetrics and answers known beforehand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.restoration import by_degradation, measure, psnr, ssim


def pair(seed: int = 0, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture, and the same blurred and noisy."""
    rng = np.random.default_rng(seed)
    true = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
    spoilt = cv2.GaussianBlur(true, (0, 0), 2).astype(float) + 8 * rng.normal(size=true.shape)
    return np.clip(spoilt, 0, 255).astype(np.uint8), true


def test_agree_with_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    spoilt, true = pair()
    assert float(psnr(spoilt, true)) == pytest.approx(metrics.peak_signal_noise_ratio(true, spoilt), abs=1e-4)
    wanted = metrics.structural_similarity(
        true, spoilt, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(spoilt, true) == pytest.approx(wanted, abs=1e-4)


def test_ssim_agrees_with_torchmetrics() -> None:
    """Which also averages over a border of reflected pixels, five wide; the paper and scikit-image do not."""
    image = pytest.importorskip("torchmetrics.functional.image")
    import torch

    spoilt, true = pair(1)
    x, y = (torch.from_numpy(p).permute(2, 0, 1)[None].double() for p in (spoilt, true))
    _, places = image.structural_similarity_index_measure(x, y, data_range=255.0, return_full_image=True)
    assert ssim(spoilt, true) == pytest.approx(float(places[..., 5:-5, 5:-5].mean()), abs=1e-4)


def test_equal_and_opposite_pictures() -> None:
    _, true = pair()
    assert np.isinf(psnr(true, true))
    assert ssim(true, true) == pytest.approx(1)
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert float(psnr(black, white)) == 0
    assert ssim(black, white) < 0.001
    assert psnr(np.stack([black, white]), np.stack([white, white])).tolist() == [0, np.inf]
    with pytest.raises(ValueError, match="one size"):
        ssim(black, white[:12])


def test_by_degradation_with_intervals() -> None:
    pairs = [pair(seed) for seed in range(6)]
    restored, true = [p[0] for p in pairs], [p[1] for p in pairs]
    people = ["a", "a", "b", "c", "d", "e"]
    found = by_degradation({"none": (true, true), "blur": (restored, true)}, people, 200)
    assert [f.degradation for f in found] == ["none", "blur"]
    assert found[0].psnr.value == 100  # dB, where it would be infinite
    assert found[1].psnr.low is not None
    assert found[1].psnr.low < found[1].psnr.value < 40
    assert found[1].identity is None
    vectors = (np.ones((6, 4)), np.concatenate([np.ones((3, 4)), -np.ones((2, 4)), np.full((1, 4), np.nan)]))
    measured = measure("blur", restored, true, Bootstrap(people, 50), vectors, threshold=0.6)
    assert measured.identity is not None
    assert measured.same is not None
    assert measured.identity.value == pytest.approx((3 - 2) / 5)
    assert measured.same.value == pytest.approx(3 / 6)
