"""The deepface adapters, against a stand-in module: deepface is heavy and fetches its weights."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ds2f.errors import UserError
from ds2f.face import registry
from ds2f.face.deepface_models import level_crop
from ds2f.types import DetectedFace
from helpers import detected

IMAGE = np.zeros((120, 100, 3), np.uint8)
IMAGE[..., 0] = 200  # red


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`from deepface import DeepFace`, with the calls that the adapters make."""

    def check(image: np.ndarray, settings: dict[str, Any]) -> None:
        assert image.shape == (80, 60, 3)  # the box of the face
        assert image[0, 0].tolist() == [0, 0, 200]  # BGR
        assert settings["detector_backend"] == "skip"
        assert settings["enforce_detection"] is False

    def represent(image: np.ndarray, model_name: str, **settings: Any) -> list[dict[str, Any]]:
        check(image, settings)
        assert model_name == "Facenet"
        return [{"embedding": [3.0, 4.0] + [0.0] * 126, "facial_area": {}, "face_confidence": 0}]

    def analyze(image: np.ndarray, actions: tuple[str, ...], **settings: Any) -> list[dict[str, Any]]:
        check(image, settings)
        assert actions == ("age", "gender", "race")
        return [{"age": 42, "gender": {"Woman": 12.5, "Man": 87.5}, "race": {"asian": 60.0, "white": 40.0}}]

    def build_model(model_name: str, task: str) -> SimpleNamespace:
        assert task == ("facial_recognition" if model_name == "Facenet" else "facial_attribute")
        return SimpleNamespace(output_shape=128)

    fake = SimpleNamespace(represent=represent, analyze=analyze, build_model=build_model)
    monkeypatch.setitem(sys.modules, "deepface", ModuleType("deepface"))
    monkeypatch.setitem(sys.modules, "deepface.DeepFace", fake)
    return fake


@pytest.mark.usefixtures("library")
def test_embeddings_have_length_one() -> None:
    model = registry.load_embedder("deepface:Facenet")
    assert (model.name, model.dim) == ("deepface:Facenet", 128)
    vectors = model.embed([IMAGE, IMAGE], [detected(), detected()])
    assert vectors.shape == (2, 128)
    np.testing.assert_allclose(vectors[1, :3], [0.6, 0.8, 0])
    assert model.embed([], []).shape == (0, 128)


@pytest.mark.usefixtures("library")
def test_percentages_become_shares() -> None:
    found = registry.load_attributes("deepface").predict([IMAGE], [detected()], np.zeros((1, 128), np.float32))[0]
    assert found.age == 42
    assert found.age_bins["40-49"] == 1
    assert found.gender == pytest.approx({"male": 0.875, "female": 0.125})
    assert found.ethnicity == pytest.approx({"asian": 0.6, "white": 0.4})


def test_weights_that_cannot_be_had_are_one_sentence(library: SimpleNamespace) -> None:
    def offline(model_name: str, task: str) -> None:
        raise ValueError("Could not download the weights\nsecond line")

    library.build_model = offline
    with pytest.raises(UserError, match=r"deepface cannot load Facenet \(Could not download the weights\)"):
        registry.load_embedder("deepface:Facenet")


def test_the_crop_levels_the_eyes() -> None:
    """Two bright dots as eyes, the right one lower by as much as it is to the side; in the crop they are level."""
    image = np.zeros((100, 100, 3), np.uint8)
    image[35:40, 35:40] = image[55:60, 55:60] = 255
    points = np.array([[37, 37], [57, 57], [42, 62], [30, 70], [45, 80]], np.float32)
    crop = level_crop(image, DetectedFace((17, 17, 60, 60), points, 1.0))
    assert crop.shape == (60, 60, 3)
    rows, columns = np.nonzero(crop[..., 0] > 100)
    left, right = columns < 30, columns >= 30
    assert rows[left].mean() == pytest.approx(rows[right].mean(), abs=1)
    assert columns[right].mean() - columns[left].mean() == pytest.approx(20 * 2**0.5, abs=1.5)
