"""Measures of an attribute model against answers worked out by hand."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from ds2f.cli.train import print_attributes
from ds2f.evaluation.attributes import (
    AttributeMeasures,
    expected_calibration_error,
    measure_attributes,
)
from ds2f.face.attributes import Estimates
from ds2f.io.files import from_json
from ds2f.types import AGE_BINS, ETHNICITIES, FaceLabels


def estimates(age: list[float], female: list[float], ethnicity: list[int]) -> Estimates:
    decade = np.minimum(np.array(age) // 10, 8).astype(int)
    return Estimates(
        np.array(age, np.float32),
        np.eye(len(AGE_BINS), dtype=np.float32)[decade],
        np.array(female, np.float32),
        np.eye(len(ETHNICITIES), dtype=np.float32)[ethnicity],
    )


FOUND = estimates([20, 33, 64, 4], [0.9, 0.2, 0.6, 0.7], [0, 0, 2, 1])
TRUTH = FaceLabels(np.array([25.0, 31, np.nan, 4]), np.array([1, 0, 0, -1]), np.array([0, 1, 2, -1]))


def test_shares_errors_and_groups() -> None:
    measures = measure_attributes(FOUND, TRUTH)
    groups = {group.group: group for group in measures.groups}
    everybody = groups["all"]
    assert everybody.faces == 4
    assert everybody.gender == pytest.approx(2 / 3)  # the third is taken for a woman, the fourth is not stated
    assert everybody.ethnicity == pytest.approx(2 / 3)
    assert everybody.age_mae == pytest.approx((5 + 2 + 0) / 3)
    assert groups["18 and older"].faces == 2
    assert groups["female"].gender == 1
    assert groups["age 0-9"].age_mae == 0
    assert groups["age 0-9"].gender is None
    assert groups["Black"].ethnicity == 0
    assert "Indian" not in groups
    assert measures.balanced_ethnicity == pytest.approx((1 + 0 + 1) / 3)
    assert measures.confusion[1] == (1, 0, 0, 0, 0)


def test_json_and_back() -> None:
    measures = measure_attributes(FOUND, TRUTH)
    assert from_json(AttributeMeasures, json.loads(json.dumps(asdict(measures)))) == measures


def test_calibration_error_of_an_honest_and_of_a_boasting_model() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, 20_000)
    truth = (rng.uniform(0, 1, 20_000) < p).astype(int)
    assert expected_calibration_error(np.stack([1 - p, p], 1), truth) < 0.02
    sure = np.tile([0.0, 1.0], (1000, 1))
    assert expected_calibration_error(sure, np.arange(1000) % 2) == pytest.approx(0.5)


def test_no_ethnicity_stated() -> None:
    measures = measure_attributes(FOUND, FaceLabels(TRUTH.age, TRUTH.gender, np.full(4, -1)))
    assert measures.balanced_ethnicity is None
    assert measures.confusion == ()
    assert "ethnicity" not in measures.calibration_error


def test_the_table_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    print_attributes(measure_attributes(FOUND, TRUTH))
    said = capsys.readouterr().out
    assert "66.7 %" in said
    assert "2.3 years" in said
    for name in ETHNICITIES:
        assert name in said
