"""PSNR and SSIM against scikit-image, torchmetrics and answers known beforehand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.restoration import MOST_DB, fidelity, kept, psnr, ssim


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
    with pytest.raises(ValueError, match="the same size"):
        ssim(black, white[:12])


def test_means_have_intervals_over_people() -> None:
    pairs = [pair(seed) for seed in range(6)]
    restored, true = np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])
    bootstrap = Bootstrap(["a", "a", "b", "c", "d", "e"], 200)
    same, alike = fidelity(true, true, bootstrap)
    assert (same.value, alike.value) == (MOST_DB, pytest.approx(1))
    found, alike = fidelity(restored, true, bootstrap)
    assert found.low is not None
    assert found.low < found.value < 40
    assert found.value == pytest.approx(np.mean([float(psnr(*p)) for p in pairs]))
    assert alike.value == pytest.approx(np.mean([ssim(*p) for p in pairs]))


def test_what_is_left_of_the_person() -> None:
    """Of four people, one is found, one is taken for the next, one shows no face, and one is not asked for."""
    gallery = np.eye(4)
    clips = np.array([0, 1, 3])
    vectors = np.array([2 * gallery[0], gallery[2], [np.nan] * 4])
    found = kept(vectors, gallery, ["a", "b", "c", "d"], clips, Bootstrap(["a", "b", "d"], 50))
    assert found.likeness is not None
    assert found.likeness.value == pytest.approx(1 / 2)  # 1 and 0; without a face there is nothing to be alike
    assert found.r_at_1.value == pytest.approx((1 + 0 + 1 / 4) / 3)
    assert found.r_at_10.value == 1
    nothing = kept(np.full((3, 4), np.nan), gallery, ["a", "b", "c", "d"], clips, Bootstrap(["a", "b", "d"], 50))
    assert nothing.likeness is None
    assert nothing.r_at_1.value == pytest.approx(1 / 4)
