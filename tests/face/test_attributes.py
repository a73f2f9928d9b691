"""The shipped attribute model: its forms agree, and about real faces it is right."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from ds2f.errors import ItemError, UserError
from ds2f.face.attributes import IdentityAttributes
from ds2f.models import folders
from ds2f.types import AGE_BINS, ETHNICITIES, GENDERS


@pytest.fixture(scope="module")
def model() -> IdentityAttributes:
    return IdentityAttributes()


def identities(count: int) -> np.ndarray:
    """Made-up vectors about where real ones lie: dlib's have a length of about 1.4."""
    return (np.random.default_rng(0).standard_normal((count, 128)) * 0.12).astype(np.float32)


def test_it_is_there_small_and_says_how_right_it_is() -> None:
    assert (folders.shipped() / "attributes.safetensors").stat().st_size < 1_000_000
    measures = folders.description(folders.shipped(), "attributes")["card"]["measures"]
    everybody = measures["groups"][0]
    assert everybody["group"] == "all"
    assert everybody["faces"] > 4_000
    assert everybody["gender"] > 0.9


def test_records_and_arrays_say_the_same(model: IdentityAttributes) -> None:
    vectors = identities(7)
    arrays, records = model.estimate(vectors), model.predict([], [], vectors)
    assert arrays.age.shape == arrays.female.shape == (7,)
    assert arrays.ethnicity.shape == (7, len(ETHNICITIES))
    for i, record in enumerate(records):
        assert record.age == pytest.approx(float(arrays.age[i]))
        assert tuple(record.age_bins) == AGE_BINS
        assert tuple(record.gender) == GENDERS
        assert record.gender["female"] == pytest.approx(float(arrays.female[i]))
        assert tuple(record.ethnicity) == ETHNICITIES
        for distribution in (record.age_bins, record.gender, record.ethnicity):
            assert sum(distribution.values()) == pytest.approx(1, abs=1e-5)
        decade = sum(p * min(10 * k + 4.5, 85) for k, p in enumerate(record.age_bins.values()))
        assert record.age == pytest.approx(decade, abs=7)  # bins and expectation come from one distribution


def test_thousands_of_rows_at_once(model: IdentityAttributes) -> None:
    vectors = identities(10_000)
    started = time.monotonic()
    whole = model.estimate(vectors)
    assert time.monotonic() - started < 5
    np.testing.assert_allclose(whole.age[9_000:], model.estimate(vectors[9_000:]).age, rtol=1e-3)
    assert model.predict_identities(vectors[:0]) == []


def test_a_row_without_a_face_stays_without_an_answer(model: IdentityAttributes) -> None:
    vectors = identities(3)
    vectors[1] = np.nan
    found = model.estimate(vectors)
    assert np.isnan(found.age).tolist() == [False, True, False]
    assert np.isnan(found.female).tolist() == [False, True, False]


def test_vectors_of_another_encoder_are_refused(model: IdentityAttributes) -> None:
    with pytest.raises(UserError, match="identity vectors of dlib"):
        model.estimate(np.zeros((2, 512), np.float32))


def test_real_faces(model: IdentityAttributes, shared_data: Path) -> None:
    """Two dozen faces of UTKFace by name, cut, embedded and judged as a user's would be."""
    from ds2f.corpora.scan import scan
    from ds2f.face.encode import FaceEncoder
    from ds2f.io.images import read_image
    from ds2f.types import Source

    archives = sorted(shared_data.glob("faces/utkface*.tar"))
    if not archives:
        pytest.skip("no UTKFace archive in ../shared/data")
    encoder = FaceEncoder()
    adults = [i for i in scan(archives[0], "still") if 18 <= int(dict(i.labels)["age"]) < 60][::400][:24]
    right = []
    for item in adults:
        try:
            face = encoder.encode(read_image(Source(archives[0], item.offset, item.size))).face
        except ItemError:  # the detector does not find one picture in two hundred
            continue
        found = model.predict_identities(face.identity[None])[0]
        right.append(found.gender[dict(item.labels)["gender"]] > 0.5)
    assert len(right) > 20
    assert np.mean(right) > 0.85
