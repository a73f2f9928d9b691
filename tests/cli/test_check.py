from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f import GeneratedFace
from ds2f.cli import main
from ds2f.io.check import NOTHING


def test_pictures_folders_and_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    face = GeneratedFace(Image.new("RGB", (32, 32), "red"), np.zeros(128), 1, {"model": "abc"})
    face.save(tmp_path / "deep" / "ours.png")
    Image.new("RGB", (32, 32)).save(tmp_path / "deep" / "others.jpg")
    (tmp_path / "deep" / "notes.txt").write_text("no picture, and not asked for")
    assert main(["check", str(tmp_path / "deep")]) == 0
    said = capsys.readouterr().out
    assert f"others.jpg: {NOTHING}" in said
    assert "ours.png: says that it was drawn by ds2f" in said
    assert "XMP: says trainedAlgorithmicMedia, by ds2f" in said
    assert main(["check", "--json", str(tmp_path / "none.png"), str(tmp_path / "deep" / "ours.png")]) == 1
    out, err = capsys.readouterr()
    refused, ours = json.loads(out)
    assert "cannot be read" in refused["error"]
    assert "none.png" in err
    assert ours["made_by_ds2f"] is True
    assert ours["layers"] == ["xmp"]
    assert ours["xmp"]["details"]["seed"] == 1
    assert main(["check", str(tmp_path / "none.png")]) == 2
    (tmp_path / "empty").mkdir()
    assert main(["check", str(tmp_path / "empty")]) == 2
    assert "There is no picture in" in capsys.readouterr().err
