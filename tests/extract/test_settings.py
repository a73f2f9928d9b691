"""What extraction owes, and by which weights: a change of a model, or of how it is read, makes its rows anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ds2f.config import Audio, Faces
from ds2f.extract.settings import ExtractSettings, plan_of


def test_what_is_stated_beside_a_network_counts_as_its_weights(tmp_path: Path) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(b"a network")
    spec = f"onnx:{file}"
    settings = ExtractSettings(Audio(), Faces(encoders=[spec], attributes=["ds2f-attributes", spec]))
    stages = "identity:onnx:own", "attributes:onnx:own"
    assert plan_of(settings).attributes == ("ds2f-attributes", "onnx:own")
    first = dict(plan_of(settings).weights)
    file.with_suffix(".json").write_text('{"mean": 0}')
    then = dict(plan_of(settings).weights)
    assert all(first[stage] != then[stage] for stage in stages)
    assert {k: v for k, v in first.items() if k not in stages} == {k: v for k, v in then.items() if k not in stages}


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    specs = [f"onnx:{tmp_path / folder / 'own.onnx'}" for folder in ("a", "b")]
    settings = ExtractSettings(Audio(), replace(Faces(), attributes=specs))
    assert plan_of(settings).attributes == ("onnx:a/own", "onnx:b/own")
