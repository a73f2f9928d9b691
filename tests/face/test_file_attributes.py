"""Attribute models in files of one's own, by a tiny network whose outputs are the mean colours of the picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds2f.dataset.queries import parse_attributes
from ds2f.dataset.store import attribute_rows
from ds2f.errors import UserError
from ds2f.face import registry
from ds2f.face.align import canonical_crop, template
from ds2f.face.file_attributes import FileAttributes
from ds2f.types import AGE_BINS, DetectedFace

SIZE = 16
PLAIN = {"mean": 0, "std": 255, "cut": [0, 0, 1]}
NO_IDENTITIES = np.zeros((1, 128), np.float32)


def own_model(folder: Path, **told: Any) -> str:
    """Output "colours": (n, 3), the means of red, green and blue; "red": (n, 1)."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[dev]'")
    make, kind = onnx.helper, onnx.TensorProto
    entry = make.make_tensor_value_info("pictures", kind.FLOAT, ["n", SIZE, SIZE, 3])
    leaves = [make.make_tensor_value_info(name, kind.FLOAT, ["n", k]) for name, k in (("colours", 3), ("red", 1))]
    nodes = [
        make.make_node("ReduceMean", ["pictures"], ["colours"], axes=[1, 2], keepdims=0),
        make.make_node("Gather", ["colours", "first"], ["red"], axis=1),
    ]
    first = onnx.numpy_helper.from_array(np.array([0]), "first")
    graph = make.make_graph(nodes, "g", [entry], leaves, [first])
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8), folder / "own.onnx")
    (folder / "own.json").write_text(json.dumps(told))
    return f"onnx:{folder / 'own.onnx'}"


def one_colour(*colour: int) -> np.ndarray:
    return np.tile(np.array(colour, np.uint8), (SIZE, SIZE, 1))


def face() -> DetectedFace:
    return DetectedFace((0, 0, SIZE, SIZE), template(SIZE), 1.0)


def test_classes_of_years_one_number_and_words_of_its_own(tmp_path: Path) -> None:
    spec = own_model(
        tmp_path,
        **PLAIN,
        age={"output": "colours", "years": [20, 45, 80]},
        gender={"output": "red", "classes": ["male"]},
        ethnicity={"output": "colours", "columns": [2, 0], "classes": ["Blue", "White"]},
        licence="MIT",
    )
    model = registry.load_attributes(spec)
    assert (model.name, model.licence, model.needs_picture) == ("onnx:own", "MIT", True)
    (found,) = model.predict([one_colour(51, 51, 102)], [face()], NO_IDENTITIES)
    assert found.age == pytest.approx(0.25 * 20 + 0.25 * 45 + 0.5 * 80, abs=1e-4)
    assert found.age_bins == pytest.approx(
        dict.fromkeys(AGE_BINS, 0) | {"20-29": 0.25, "40-49": 0.25, "80+": 0.5}, abs=1e-5
    )
    assert found.gender == pytest.approx({"male": 0.2, "female": 0.8}, abs=1e-5)
    assert found.ethnicity == pytest.approx({"Blue": 2 / 3, "White": 1 / 3}, abs=1e-5)


def test_a_number_of_years_and_logits(tmp_path: Path) -> None:
    """As InsightFace's model has them: female, male and a hundredth of the years in one output."""
    age = {"output": "colours", "columns": [2], "scale": 100}
    gender = {"output": "colours", "columns": [0, 1], "classes": ["female", "male"], "logits": True}
    model = FileAttributes(own_model(tmp_path, **PLAIN, age=age, gender=gender))
    (found,) = model.predict([one_colour(255, 0, 102)], [face()], NO_IDENTITIES)
    assert found.age == pytest.approx(40, abs=1e-3)
    assert found.age_bins["40-49"] + found.age_bins["30-39"] == 1
    assert found.gender["female"] == pytest.approx(1 / (1 + np.exp(-1)))
    assert found.ethnicity == {}


def test_what_a_model_does_not_tell_is_not_stored(tmp_path: Path) -> None:
    gender = {"output": "red", "classes": ["female"], "logits": True}
    model = FileAttributes(own_model(tmp_path, **PLAIN, gender=gender))
    (found,) = model.predict([one_colour(0, 9, 9)], [face()], NO_IDENTITIES)
    assert np.isnan(found.age)
    assert (found.age_bins, found.ethnicity) == ({}, {})
    rows = attribute_rows(found)
    assert [row[0] for row in rows] == ["gender"]
    again = parse_attributes(json.dumps({name: [value, json.loads(text)] for name, value, _, text in rows}))
    assert again is not None
    assert np.isnan(again.age)
    assert again.gender == {"male": 0.5, "female": 0.5}
    assert model.predict([], [], NO_IDENTITIES[:0]) == []


def test_channels_and_the_mean_of_each(tmp_path: Path) -> None:
    told = {"channels": "BGR", "mean": [10, 20, 30], "std": [1, 2, 5], "cut": [0, 0, 1]}
    model = FileAttributes(own_model(tmp_path, **told, age={"output": "red"}))
    found = model.network(one_colour(130, 60, 40)[None])["colours"]
    np.testing.assert_allclose(found, [[40 - 10, (60 - 20) / 2, (130 - 30) / 5]], rtol=1e-5)


def test_the_cut_is_a_part_of_the_canonical_crop(tmp_path: Path) -> None:
    """And without one it is what ArcFace's alignment shows."""
    picture = np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    picture = np.repeat(np.repeat(picture, 3, 0), 3, 1)
    landmarks = template(1) * 100 + (60, 90)
    cut = {"cut": [0.25, 0.5, 0.5]}
    model = FileAttributes(own_model(tmp_path, **PLAIN | cut, age={"output": "red"}))
    whole = canonical_crop(picture, landmarks, 2 * SIZE)
    np.testing.assert_array_equal(model.crops([picture], [landmarks])[0], whole[SIZE:, SIZE // 2 : SIZE // 2 + SIZE])
    plain = FileAttributes(own_model(tmp_path, age={"output": "red"}))
    side = plain.crops([picture], [landmarks]).shape
    assert side == (1, SIZE, SIZE, 3)
    np.testing.assert_allclose(plain._told.cut, [0.1, 0.064, 0.8])


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, 'write .*own.json, such as .*"colours"'),
        ({"age": {"output": "years"}}, "no output 'years' but colours, red"),
        ({"age": {"output": "red", "columns": [1]}}, "has 1 numbers, no column 1"),
        ({"age": {"output": "colours", "years": [1, 2]}}, "3 numbers here, which are given 2"),
        ({"gender": {"output": "colours", "columns": [0, 1], "classes": ["male", "male"]}}, "two are the same"),
        ({"gender": {"output": "red", "classes": ["woman"]}}, "woman"),
        ({"race": {"output": "red"}}, "race"),
        ({"cut": [0, 0, 0], "age": {"output": "red"}}, "side of its cut"),
    ],
)
def test_what_is_stated_wrongly_is_refused(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        FileAttributes(own_model(tmp_path, **told))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no attribute model"):
        registry.load_attributes(f"tflite:{tmp_path / 'gone.tflite'}")
