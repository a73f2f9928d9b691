"""Distances between sets, against torchmetrics, written-out definitions, and answers known beforehand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.realism import frechet_distance, kernel_distance, measure_realism, precision, spread, variety


def two_sets(n: int = 300, m: int = 200, d: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(d, d))
    return rng.normal(size=(n, d)) @ mix, 0.3 + rng.normal(size=(m, d)) @ (mix + 0.2 * rng.normal(size=(d, d)))


def test_frechet_agrees_with_torchmetrics() -> None:
    fid = pytest.importorskip("torchmetrics.image.fid")
    import torch

    a, b = (torch.from_numpy(x) for x in two_sets())
    wanted = float(fid._compute_fid(a.mean(0), a.T.cov(), b.mean(0), b.T.cov()))
    assert frechet_distance(a.numpy(), b.numpy()) == pytest.approx(wanted, rel=1e-4)


def test_kernel_agrees_with_torchmetrics() -> None:
    kid = pytest.importorskip("torchmetrics.image.kid")
    import torch

    a, b = two_sets(150, 150)  # torchmetrics takes sets of one size
    wanted = float(kid.poly_mmd(torch.from_numpy(a), torch.from_numpy(b)))
    assert kernel_distance(a, b) == pytest.approx(wanted, rel=1e-4)


def test_nothing_lies_between_a_set_and_itself() -> None:
    for a in (two_sets()[0], two_sets(10, 10, 64)[0]):  # also with fewer rows than features
        assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)
        assert frechet_distance(a, a + 2) == pytest.approx(4 * a.shape[1])  # moved: |μ₁ − μ₂|²


def test_frechet_where_a_feature_never_changes() -> None:
    """The covariance is singular although there are more rows than features."""
    a, b = two_sets()
    with_a, with_b = (np.hstack([x, np.full((len(x), 1), value)]) for x, value in ((a, 1.0), (b, 3.0)))
    assert frechet_distance(with_a, with_b) == pytest.approx(frechet_distance(a, b) + 4)


def test_frechet_of_scaled_normals_is_the_formula() -> None:
    """tr(Σ + s²Σ − 2 s Σ) = (s − 1)² tr Σ."""
    a, _ = two_sets()
    a = a - a.mean(0)
    assert frechet_distance(a, 3 * a) == pytest.approx(4 * np.trace(np.cov(a.T)))


def test_weights_count_rows() -> None:
    a, b = two_sets(40, 30)
    counts = np.random.default_rng(1).integers(0, 4, 40)
    assert frechet_distance(a, b, counts) == pytest.approx(frechet_distance(np.repeat(a, counts, 0), b))


def test_kernel_is_unbiased() -> None:
    rng = np.random.default_rng(2)
    draws = [kernel_distance(rng.normal(size=(20, 4)), rng.normal(size=(20, 4))) for _ in range(400)]
    assert np.mean(draws) == pytest.approx(0, abs=3 * np.std(draws) / 20)
    assert min(draws) < 0


def test_precision_by_the_definition() -> None:
    generated, real = two_sets(60, 50, 3)
    radius = [sorted(np.linalg.norm(real - r, axis=1))[3] for r in real]
    wanted = [any(np.linalg.norm(g - r) <= k for r, k in zip(real, radius, strict=True)) for g in generated]
    np.testing.assert_array_equal(precision(generated, real), np.array(wanted, float))
    assert precision(real, real).all()
    assert not precision(real + 1000, real).any()


def test_variety_and_spread_by_hand() -> None:
    vectors, clips = np.array([[0.0], [1.0], [3.0], [10.0]]), np.array([0, 0, 0, 2])
    np.testing.assert_allclose(variety(vectors, clips, 3), [2.0, np.nan, np.nan])  # (1 + 3 + 2) / 3
    np.testing.assert_allclose(spread(vectors, clips, 3), [(10 + 9 + 7) / 3, np.nan, (10 + 9 + 7) / 3])
    assert np.isnan(spread(vectors[:2], clips[:2], 3)).all()


def test_measured_with_intervals_and_a_warning() -> None:
    real, _ = two_sets(60, 1, 8)
    rng = np.random.default_rng(3)
    bootstrap = Bootstrap([str(i // 2) for i in range(60)], 100)
    found = measure_realism(
        "mine", real + 0.5 * rng.normal(size=real.shape), np.arange(60), real, np.arange(60), bootstrap
    )
    assert (found.space, found.generated, found.real, found.few) == ("mine", 60, 60, True)
    for part in (found.frechet, found.kernel, found.precision, found.recall):
        assert part.low is not None
        assert part.high is not None
        assert part.low <= part.value <= part.high
    same = measure_realism("mine", real, np.arange(60), real, np.arange(60), bootstrap)
    assert same.frechet.value == pytest.approx(0, abs=1e-8)
    assert same.precision.value == same.recall.value == 1
    with pytest.raises(ValueError, match="no distribution"):
        measure_realism("mine", real[:3], np.arange(3), real, np.arange(60), bootstrap)


def test_draws_in_which_hardly_anybody_has_a_face_measure_nothing() -> None:
    rng = np.random.default_rng(0)
    generated, real = rng.normal(size=(4, 5)), rng.normal(size=(8, 5))
    bootstrap = Bootstrap([f"person {n // 2}" for n in range(8)], 200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure_realism("dlib", generated, np.array([0, 1, 2, 3]), real, np.arange(8), bootstrap)
    assert found.frechet.value == pytest.approx(frechet_distance(generated, real))
    for measure in (found.frechet, found.kernel):
        assert measure.low is not None
        assert measure.high is not None
        assert measure.low < measure.value < measure.high
