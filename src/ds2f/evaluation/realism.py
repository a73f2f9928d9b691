"""Do the generated faces look real as a set, and do they vary? Distances between two sets of features.

A distance is only as good as its features, so it is always named with them: "Fréchet distance (dlib)". Only with
Inception-v3's features (`inception`) is it the FID. With fewer than FEW images the Fréchet distance is biased upwards
by far more than methods differ; use the kernel distance, which is unbiased.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.distance import cdist

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.results import Measure, Realism

FEW = 2000
"""With fewer images than this, a Fréchet distance carries a warning."""
NEIGHBOURS = 3  # of the manifolds of precision and recall, as in the paper
DRAWS = 200  # for intervals that need a matrix root or a matrix product per draw


def frechet_distance(
    a: np.ndarray, b: np.ndarray, weights_a: np.ndarray | None = None, weights_b: np.ndarray | None = None
) -> float:
    """Between the Gaussians that have the means and covariances of a, (n, d), and b, (m, d), features:

    |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁ Σ₂)^½

    (Dowson & Landau, J. Multivariate Analysis 12(3), 1982; with Inception's features the FID of Heusel et al. 2017,
    arXiv:1706.08500). With Σ = RᵀR, tr (Σ₁ Σ₂)^½ is the sum of the singular values of R₁ R₂ᵀ, which is exact also for a
    singular covariance, as with fewer faces than features. weights: how often each row counts.
    """
    mean_a, root_a = _gaussian(a, weights_a)
    mean_b, root_b = _gaussian(b, weights_b)
    shared = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    total = ((mean_a - mean_b) ** 2).sum() + (root_a**2).sum() + (root_b**2).sum() - 2 * shared
    return max(0.0, float(total))


def kernel_distance(
    a: np.ndarray, b: np.ndarray, weights_a: np.ndarray | None = None, weights_b: np.ndarray | None = None
) -> float:
    """Squared maximum mean discrepancy with k(x, y) = (x·y / d + 1)³, unbiased, so it may be slightly below 0:

    E k(x, x′) + E k(y, y′) − 2 E k(x, y),  x ≠ x′, y ≠ y′        (as KID: Bińkowski et al. 2018, arXiv:1801.01401)

    a: (n, d), b: (m, d) features, n and m ≥ 2; weights: how often each row counts; copies of a row do not form a pair.
    """
    return _discrepancy(*_kernels(a, b), _ones(a, weights_a), _ones(b, weights_b))


def precision(generated: np.ndarray, real: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """(n,) 1.0 for each generated feature that lies among the real ones, i.e. within the distance of some real feature
    to its own k-th neighbour (Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1-2); its mean is the precision.

    The recall is the same with the two exchanged. generated: (n, d); real: (m, d), m > k.
    """
    between = cdist(real, real)
    radius = np.sort(between, axis=1)[:, min(neighbours, len(real) - 1)]  # index 0 is the face itself
    return (cdist(generated, real) <= radius).any(1).astype(np.float64)


def measure_realism(
    space: str, generated: np.ndarray, clips: np.ndarray, real: np.ndarray, among: np.ndarray, bootstrap: Bootstrap
) -> Realism:
    """All measures in one feature space. Raises ValueError with fewer than four generated faces.

    space: its name.
    generated: (m, d) features of generated faces.
    clips: (m,) int, the clip of each.
    real: (n, d) features of true faces.
    among: (n,) int, the clip of each.
    bootstrap: over the people of the clips.
    """
    if len(generated) <= NEIGHBOURS:
        raise ValueError(f"{len(generated)} faces are no distribution")
    kernels = _kernels(generated, real)
    ones, all_real = np.ones(len(generated)), np.ones(len(real))

    def frechet(weights: np.ndarray) -> float:
        u, v = weights[clips], weights[among]
        return frechet_distance(generated, real, u, v) if _are_sets(u, v) else math.nan

    def kernel(weights: np.ndarray) -> float:
        u, v = weights[clips], weights[among]
        return _discrepancy(*kernels, u, v) if _are_sets(u, v) else math.nan

    return Realism(
        space=space,
        generated=len(generated),
        real=len(real),
        few=min(len(generated), len(real)) < FEW,
        frechet=bootstrap.statistic(frechet_distance(generated, real), frechet, DRAWS),
        kernel=bootstrap.statistic(_discrepancy(*kernels, ones, all_real), kernel, DRAWS),
        precision=_share(precision(generated, real), clips, bootstrap),
        recall=_share(precision(real, generated), among, bootstrap),
    )


def _are_sets(*weights: np.ndarray) -> bool:
    """Whether at least two faces are left on either side: a draw of few people may hold none who was drawn a face."""
    return all((of_one > 0).sum() > 1 for of_one in weights)


def variety(vectors: np.ndarray, clips: np.ndarray, count: int) -> np.ndarray:
    """(count,) mean L2 distance between the faces of one voice, NaN for a clip with fewer than two.

    vectors: (m, d), without NaN; clips: (m,) int, the clip of each.
    """
    result = np.full(count, np.nan)
    for clip in np.unique(clips):
        own = vectors[clips == clip]
        if len(own) > 1:
            result[clip] = cdist(own, own).sum() / (len(own) * (len(own) - 1))
    return result


def spread(vectors: np.ndarray, clips: np.ndarray, count: int) -> np.ndarray:
    """(count,) mean L2 distance of a clip's faces to those of all other clips, NaN for a clip without a face: the
    reference for `variety`."""
    present = np.unique(clips)
    result = np.full(count, np.nan)
    if len(present) < 2:
        return result
    between = cdist(vectors, vectors)
    other = clips[:, None] != clips
    of_face = np.where(other, between, 0.0).sum(1) / other.sum(1)
    result[present] = np.bincount(clips, of_face)[present] / np.bincount(clips)[present]
    return result


def _gaussian(x: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and a root R, (r, d), of the covariance, RᵀR = Σ, divided by n − 1 as in the reference
    implementations."""
    weights = _ones(x, weights)
    x, weights = x[weights > 0], weights[weights > 0]  # a third of the rows have weight 0 in a draw
    mean = weights @ x / weights.sum()
    rows = np.sqrt(weights / (weights.sum() - 1))[:, None] * (x - mean)
    if len(rows) <= rows.shape[1]:
        return mean, rows
    covariance = rows.T @ rows
    try:  # a tenth of the time of the alternative
        return mean, np.linalg.cholesky(covariance).T
    except np.linalg.LinAlgError:  # singular, for example if a feature is constant
        values, vectors = np.linalg.eigh(covariance)
        return mean, np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T


def _kernels(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k for all pairs within a and within b, 0 for a row with itself, and between the two."""

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)

    within_a, within_b = kernel(a, a), kernel(b, b)
    np.fill_diagonal(within_a, 0)
    np.fill_diagonal(within_b, 0)
    return within_a, within_b, kernel(a, b)


def _discrepancy(aa: np.ndarray, bb: np.ndarray, ab: np.ndarray, u: np.ndarray, v: np.ndarray) -> float:
    pairs_a, pairs_b = u.sum() ** 2 - (u**2).sum(), v.sum() ** 2 - (v**2).sum()
    return float(u @ aa @ u / pairs_a + v @ bb @ v / pairs_b - 2 * (u @ ab @ v) / (u.sum() * v.sum()))


def _ones(x: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.ones(len(x)) if weights is None else weights.astype(np.float64)


def _share(inside: np.ndarray, clips: np.ndarray, bootstrap: Bootstrap) -> Measure:
    """The mean of an indicator over faces, with its interval over the people of their clips."""
    count = len(bootstrap.person)
    numbers, sums = np.bincount(clips, minlength=count), np.bincount(clips, inside, count)
    totals = bootstrap.sums(np.stack([sums, numbers], 1))
    with np.errstate(invalid="ignore"):
        return bootstrap.measure(float(inside.mean()), totals[:, 0] / totals[:, 1], clips)
