"""Agreement of generated with true faces, against scikit-learn."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from ds2f.evaluation.agreement import agreement, labels_of, measure_classes, per_clip
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.results import Measure
from ds2f.evaluation.subjects import _stated
from ds2f.face.attributes import Estimates
from ds2f.types import GENDERS, FaceLabels, years_of

NAMES = ("a", "b", "c")


def test_agree_with_scikit_learn_also_in_every_draw() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 80)
    found = np.where(rng.random(80) < 0.6, true, rng.integers(0, 3, 80))
    bootstrap = Bootstrap([str(i // 3) for i in range(80)], 60)
    measured = measure_classes(NAMES, true, found, np.arange(80), 80, bootstrap)
    assert measured is not None
    assert measured.accuracy.value == pytest.approx(accuracy_score(true, found))
    assert measured.balanced.value == pytest.approx(balanced_accuracy_score(true, found))
    np.testing.assert_array_equal(measured.confusion, confusion_matrix(true, found))
    weights = bootstrap.counts[:, bootstrap.person]
    balanced = [balanced_accuracy_score(true, found, sample_weight=w) for w in weights]
    assert measured.balanced.low == pytest.approx(np.quantile(balanced, 0.025))
    assert measured.balanced.high == pytest.approx(np.quantile(balanced, 0.975))


def test_several_faces_of_a_clip_count_as_one() -> None:
    true, found, clips = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1])
    measured = measure_classes(NAMES, true, found, clips, 2, Bootstrap(["x", "y"], 20))
    assert measured is not None
    assert measured.accuracy.value == pytest.approx((1 / 3 + 1) / 2)
    assert measured.balanced.value == pytest.approx((1 / 3 + 1) / 2)
    np.testing.assert_allclose(measured.confusion, [[1 / 3, 2 / 3, 0], [0, 1, 0], [0, 0, 0]], atol=1e-6)


def test_what_is_known_of_one_person_has_no_interval() -> None:
    true, found = np.array([0, 1, -1]), np.array([0, 0, 1])
    measured = measure_classes(NAMES, true, found, np.arange(3), 3, Bootstrap(["x", "x", "y"], 20))
    assert measured is not None
    assert measured.accuracy == Measure(0.5)
    assert measured.balanced.low is None


def test_unknown_is_left_out() -> None:
    true, found = np.array([0, -1, 1]), np.array([0, 1, -1])
    bootstrap = Bootstrap(["x", "y", "z"], 20)
    measured = measure_classes(NAMES, true, found, np.arange(3), 3, bootstrap)
    assert measured is not None
    assert measured.accuracy.value == 1
    assert sum(map(sum, measured.confusion)) == 1
    assert measure_classes(NAMES, true, np.full(3, -1), np.arange(3), 3, bootstrap) is None
    np.testing.assert_allclose(per_clip(np.array([1.0, np.nan, 3.0]), np.array([1, 1, 0]), 3), [3, 1, np.nan])


def test_everything_of_some_faces() -> None:
    estimates = Estimates(
        np.array([31, 52], np.float32), np.eye(9, dtype=np.float32)[[3, 5]],
        np.array([0.9, 0.2], np.float32), np.eye(5, dtype=np.float32)[[0, 2]],
    )  # fmt: skip
    found = labels_of(estimates)
    true = FaceLabels(np.array([30.0, 47]), np.array([1, 1]), np.array([0, 2]))
    measured = agreement(true, found, np.arange(2), Bootstrap(["x", "y"], 20))
    assert measured is not None
    assert measured.gender.names == GENDERS
    assert measured.gender.accuracy.value == 0.5
    assert measured.ethnicity.accuracy.value == 1
    assert measured.decade.accuracy.value == 0.5
    assert measured.age_mae.value == pytest.approx(3)
    nobody = FaceLabels(np.full(2, np.nan), np.full(2, -1), np.full(2, -1))
    assert agreement(true, nobody, np.arange(2), Bootstrap(["x", "y"], 20)) is None


@pytest.mark.parametrize(
    ("text", "years"), [("31", 31.0), ("4.5", 4.5), ("adult", nan), ("", nan), ("nan", nan), ("-1", nan), ("1e9", nan)]
)
def test_what_a_corpus_states_as_an_age(text: str, years: float) -> None:
    assert years_of(text) == pytest.approx(years, nan_ok=True)


def test_an_age_that_is_no_number_leaves_what_the_model_sees() -> None:
    seen = FaceLabels(np.array([40.0, 50.0]), np.array([0, 1]), np.array([0, 0]))
    assert _stated(seen, [{"age": "adult"}, {"age": "31"}]).age.tolist() == [40.0, 31.0]
