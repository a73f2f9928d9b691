from __future__ import annotations

import numpy as np
import pytest
import torch

from ds2f.evaluation.speakers.scoring import adaptive_s_norm, against, score, speaker_means


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_one_crop_each_is_the_cosine() -> None:
    a, b = unit(5, 1, 8), unit(5, 1, 8, seed=1)
    np.testing.assert_allclose(score(list(a), list(b)), (a * b).sum((1, 2)))
    assert score([], []).shape == (0,)


def test_several_crops_are_scored_as_voxceleb_trainer_does() -> None:
    """score = -1 * numpy.mean(torch.cdist(ref_feat, com_feat)) of normalised features."""
    a, b = unit(7, 10, 16), unit(7, 10, 16, seed=1)
    theirs = [-float(torch.cdist(torch.tensor(x), torch.tensor(y)).mean()) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(score(list(a), list(b)), theirs, atol=1e-12)
    np.testing.assert_allclose(
        score([a[0]], [a[0]])[0], -float(torch.cdist(*[torch.tensor(a[0])] * 2).mean()), atol=1e-6
    )


@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("top", [4, 50])
def test_adaptive_s_norm_one_trial_at_a_time(crops: int, top: int) -> None:
    """The definition, written out: mean and spread of each recording's own closest cohort speakers."""
    recordings, cohort = unit(6, crops, 8), unit(20, 8, seed=2)
    first, second = np.array([0, 1, 2, 5]), np.array([3, 4, 5, 0])
    plain = score(list(recordings[first]), list(recordings[second]))
    near = against(list(recordings), cohort, top)
    found = adaptive_s_norm(plain, near.rows(first), near.rows(second))
    for k, (e, t) in enumerate(zip(first, second, strict=True)):
        terms = []
        for r in (e, t):
            closest = np.sort(
                [score([recordings[r]], [c[None]])[0] if crops == 1 else _mean(recordings[r], c) for c in cohort]
            )
            closest = closest[::-1][:top]
            terms.append((plain[k] - closest.mean()) / closest.std())
        assert found[k] == pytest.approx(sum(terms) / 2, abs=1e-9)


def _mean(crops: np.ndarray, speaker: np.ndarray) -> float:
    return -float(np.linalg.norm(crops - speaker, axis=1).mean())


def test_a_recording_that_sounds_like_everybody_is_scored_down() -> None:
    """What s-norm is for: a hub in the middle of the cohort scores high with all, and that counts no longer."""
    cohort = unit(40, 8, seed=3) + 1.0
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    hub, plain = np.full((1, 8), 8**-0.5), unit(1, 8, seed=4)
    other = unit(1, 8, seed=5) + 0.7
    other /= np.linalg.norm(other)
    near = against([hub, plain, other], cohort, 20)
    scores = score([hub, plain], [other, other])
    normed = adaptive_s_norm(scores, near.rows(np.array([0, 1])), near.rows(np.array([2, 2])))
    assert scores[0] > scores[1]
    assert normed[0] - normed[1] < (scores[0] - scores[1]) / near.std.max()


def test_a_cohort_that_is_one_point_divides_by_nothing() -> None:
    cohort = np.repeat(unit(1, 8), 12, axis=0)
    near = against(list(unit(2, 1, 8, seed=1)), cohort, 300)
    assert np.isfinite(adaptive_s_norm(np.array([0.1]), near.rows(np.array([0])), near.rows(np.array([1])))).all()


def test_speakers_are_the_means_of_their_recordings() -> None:
    vectors = list(unit(4, 2, 8))
    means, names = speaker_means(vectors, ["a", "b", "a", "b"])
    assert names == ["a", "b"]
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1)
    expected = (vectors[0].mean(0) + vectors[2].mean(0)) / 2
    np.testing.assert_allclose(means[0], expected / np.linalg.norm(expected))
