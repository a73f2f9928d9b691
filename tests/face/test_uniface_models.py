"""The uniface adapters. Its weights cannot be fetched in a test, so tiny ONNX files of the same format stand in for
them; where uniface itself is not installed, a stand-in module with the same interface does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ds2f.errors import UserError
from ds2f.face import registry
from ds2f.face.uniface_models import ATTRIBUTES, DETECTORS, EMBEDDERS, FAIRFACE_RACES
from ds2f.types import AGE_BINS
from helpers import detected

IMAGE = np.zeros((120, 100, 3), np.uint8)
IMAGE[..., 0] = 200  # red: a picture handed on in the wrong order of colours would be blue
NOBODY = np.zeros((1, 128), np.float32)

Answers = dict[str, tuple[np.ndarray, ...]]
"""What each stand-in network answers to every picture, {uniface family: outputs}."""


def answers() -> Answers:
    embedding = np.random.default_rng(0).normal(size=(1, 512)).astype(np.float32)
    race, gender, age = np.zeros((1, 7)), np.array([[0.0, np.log(3)]]), np.zeros((1, 9))
    race[0, 3], age[0, 8] = np.log(6), np.log(8)  # East Asian and "70+", half of the probability each
    return {
        "ArcFace": (embedding,),
        "FairFace": tuple(a.astype(np.float32) for a in (race, gender, age)),
        "AgeGender": (np.array([[np.log(4), 0.0, 0.315]], np.float32),),
    }


def test_every_name_has_its_weights_in_the_library() -> None:
    uniface = pytest.importorskip("uniface")
    constants = pytest.importorskip("uniface.constants")
    for weights in (*DETECTORS.values(), *EMBEDDERS.values(), *ATTRIBUTES.values()):
        assert hasattr(uniface, weights.family)
        variant = getattr(getattr(constants, f"{weights.family}Weights"), weights.variant)
        assert variant in constants.MODEL_REGISTRY


@pytest.fixture(params=["stand-in", "uniface"])
def library(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uniface with networks that answer `answers()`."""
    if request.param == "stand-in":
        _install_stand_in(monkeypatch)
        return
    constants = pytest.importorskip("uniface.constants")
    onnx = pytest.importorskip("onnx")
    monkeypatch.setenv("UNIFACE_CACHE_DIR", str(tmp_path))
    sizes = {"ArcFace": (112, 112), "FairFace": (224, 224), "AgeGender": (96, 96)}
    for weights in (*EMBEDDERS.values(), *ATTRIBUTES.values()):
        if weights.family in sizes:
            variant = getattr(getattr(constants, f"{weights.family}Weights"), weights.variant)
            _write_onnx(onnx, tmp_path / f"{variant.value}.onnx", sizes[weights.family], answers()[weights.family])
            entry = SimpleNamespace(url="https://example.org/w.onnx", sha256="")
            monkeypatch.setitem(constants.MODEL_REGISTRY, variant, entry)


@pytest.mark.usefixtures("library")
def test_embeddings_have_length_one() -> None:
    model = registry.load_embedder("uniface:arcface")
    assert (model.name, model.dim) == ("uniface:arcface", 512)
    vectors = model.embed([IMAGE, IMAGE], [detected(), detected()])
    assert vectors.shape == (2, 512)
    assert vectors.dtype == np.float32
    wanted = answers()["ArcFace"][0][0]
    np.testing.assert_allclose(vectors[0], wanted / np.linalg.norm(wanted), rtol=1e-4)
    assert model.embed([], []).shape == (0, 512)


@pytest.mark.usefixtures("library")
def test_fairface_gives_distributions() -> None:
    model = registry.load_attributes("uniface:fairface")
    found = model.predict([IMAGE], [detected()], NOBODY)[0]
    assert tuple(found.ethnicity) == FAIRFACE_RACES
    assert found.ethnicity["East Asian"] == pytest.approx(0.5)
    assert found.gender == pytest.approx({"male": 0.25, "female": 0.75})
    assert tuple(found.age_bins) == AGE_BINS
    assert found.age_bins["70-79"] == pytest.approx(0.5)
    assert found.age_bins["0-9"] == pytest.approx(2 / 16)  # two of FairFace's classes
    assert sum(found.age_bins.values()) == pytest.approx(1)
    assert found.age == pytest.approx(75 / 2 + (1 + 6 + 14.5 + 24.5 + 34.5 + 44.5 + 54.5 + 64.5) / 16)


@pytest.mark.usefixtures("library")
def test_agegender_gives_one_age() -> None:
    found = registry.load_attributes("uniface:agegender").predict([IMAGE], [detected()], NOBODY)[0]
    assert found.age == pytest.approx(31.5)
    assert found.age_bins["30-39"] == 1
    assert found.gender == pytest.approx({"male": 0.2, "female": 0.8})
    assert found.ethnicity == {}


def test_faces_found_are_boxes_with_width_and_height(monkeypatch: pytest.MonkeyPatch) -> None:
    _install_stand_in(monkeypatch)
    found = registry.load_detector("uniface:scrfd", 0.6).detect(IMAGE)
    assert [face.box for face in found] == [(50, 60, 20, 30), (10, 20, 30, 40)]
    assert [face.score for face in found] == [pytest.approx(0.9), pytest.approx(0.7)]
    assert found[0].landmarks.shape == (5, 2)


def test_a_face_found_by_uniface_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SCRFD's own decoding of one confident anchor, in a picture of half its input size."""
    constants = pytest.importorskip("uniface.constants")
    onnx = pytest.importorskip("onnx")
    outputs = [np.zeros((2 * (640 // s) ** 2, n), np.float32) for n in (1, 4, 10) for s in (8, 16, 32)]
    anchor = 2 * (20 * 40 + 10)  # of stride 16: the first at x = 160, y = 320
    outputs[1][anchor], outputs[4][anchor] = 0.95, (2, 3, 4, 5)  # distances to the sides, in strides
    variant = constants.SCRFDWeights.SCRFD_10G_KPS
    _write_onnx(onnx, tmp_path / f"{variant.value}.onnx", (640, 640), tuple(outputs))
    monkeypatch.setenv("UNIFACE_CACHE_DIR", str(tmp_path))
    entry = SimpleNamespace(url="https://example.org/w.onnx", sha256="")
    monkeypatch.setitem(constants.MODEL_REGISTRY, variant, entry)
    (face,) = registry.load_detector("uniface:scrfd").detect(np.zeros((320, 320, 3), np.uint8))
    assert face.box == (64, 136, 48, 64)
    assert face.score == pytest.approx(0.95)
    np.testing.assert_allclose(face.landmarks, np.tile([80, 160], (5, 1)))


def test_weights_that_cannot_be_had_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    _install_stand_in(monkeypatch)

    def offline(**settings: object) -> None:
        raise ConnectionError("Download failed for 'arcface_resnet'")

    monkeypatch.setattr(sys.modules["uniface"], "ArcFace", offline)
    with pytest.raises(UserError, match=r"cannot load ArcFace.*166 MB.*connect once"):
        registry.load_embedder("uniface:arcface")


def _write_onnx(onnx: ModuleType, path: Path, size: tuple[int, int], outputs: tuple[np.ndarray, ...]) -> None:
    """A network that reads (1, 3, height, width) and always answers `outputs`."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    constants = [onnx.numpy_helper.from_array(value, f"constant{i}") for i, value in enumerate(outputs)]
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "mean"], ["zero"]),  # the input must be used
        *(helper.make_node("Add", [f"constant{i}", "zero"], [f"output{i}"]) for i in range(len(outputs))),
    ]
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info("picture", floats, [1, 3, *size])],
        [helper.make_tensor_value_info(f"output{i}", floats, value.shape) for i, value in enumerate(outputs)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def _install_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `uniface` with the part of its interface that the adapters use."""

    class Network:
        input_name = "picture"

        def __init__(self, outputs: tuple[np.ndarray, ...]) -> None:
            self.outputs = outputs
            self.session = self

        def run(self, names: object, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
            assert names is None
            assert set(feeds) == {"picture"}
            return self.outputs

        def preprocess(self, image: np.ndarray, bbox: np.ndarray) -> np.ndarray:
            assert image[0, 0].tolist() == [0, 0, 200]  # BGR
            assert bbox.tolist() == [20, 20, 80, 100]  # corners, not width and height
            return image

        def get_normalized_embedding(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
            assert image[0, 0].tolist() == [0, 0, 200]
            assert landmarks.shape == (5, 2)
            return self.outputs[0][0] / np.linalg.norm(self.outputs[0])

    class Detector:
        def __init__(self, *, model_name: str, confidence_threshold: float) -> None:
            assert confidence_threshold == 0.6

        def detect(self, image: np.ndarray) -> list[Any]:
            assert image[0, 0].tolist() == [0, 0, 200]
            boxes = [((10, 20, 40, 60), 0.7), ((50, 60, 70, 90), 0.9), ((5, 5, 5, 9), 0.8)]
            return [
                SimpleNamespace(bbox=np.array(box, np.float32), confidence=score, landmarks=np.zeros((5, 2)))
                for box, score in boxes
            ]

    def family(name: str) -> Callable[..., Network]:
        return lambda *, model_name: Network(answers()[name])

    module, constants = ModuleType("uniface"), ModuleType("uniface.constants")
    for weights in (*DETECTORS.values(), *EMBEDDERS.values(), *ATTRIBUTES.values()):
        setattr(constants, f"{weights.family}Weights", SimpleNamespace(**{weights.variant: weights.variant}))
    constants.ArcFaceWeights = SimpleNamespace(RESNET="RESNET", MNET="MNET")  # type: ignore[attr-defined]
    for name in answers():
        setattr(module, name, family(name))
    module.SCRFD, module.constants = Detector, constants  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uniface", module)
    monkeypatch.setitem(sys.modules, "uniface.constants", constants)
