"""Pictures say that they are generated, to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from ds2f import GeneratedFace
from ds2f.io.images import NOTICE, write_grid

EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def _xmp(path: Path) -> dict[str, str]:
    """What the packet states of the picture, read as XML."""
    with Image.open(path) as picture:
        packet = picture.info["XML:com.adobe.xmp"]
    tree = ElementTree.fromstring(packet.strip("\ufeff"))
    about = tree.find(".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert about is not None
    text = "".join(about.itertext()).strip()
    return {**about.attrib, "description": text}


def test_a_face_is_marked_for_machines_and_for_people(tmp_path: Path) -> None:
    details = {"model": "abc123", "steps": 10, "note": "<\"quotes\" & 'more'>"}
    face = GeneratedFace(Image.new("RGB", (8, 8), "red"), np.arange(128.0), 7, details)
    face.save(tmp_path / "deep" / "face.png")
    assert face.png() == (tmp_path / "deep" / "face.png").read_bytes()
    said = _xmp(tmp_path / "deep" / "face.png")
    assert said[EXT + "DigitalSourceType"] == GENERATED
    assert said[EXT + "AISystemUsed"] == "ds2f"
    assert said[EXT + "AISystemVersionUsed"].endswith("model abc123")
    assert json.loads(said[EXT + "AIPromptInformation"]) == {"seed": 7, **details}
    assert said["description"] == NOTICE
    with Image.open(tmp_path / "deep" / "face.png") as picture:
        assert picture.info["DigitalSourceType"] == GENERATED
        assert picture.info["Description"] == NOTICE
        assert json.loads(picture.info["ds2f"]) == {"seed": 7, **details}
        assert picture.getpixel((0, 0)) == (255, 0, 0)
    assert b"127.0" not in face.png(), "the identity stays out"
    assert not list(tmp_path.rglob("*.part"))


def test_a_grid_is_a_composite(tmp_path: Path) -> None:
    write_grid(tmp_path / "grid.png", [np.zeros((2, 8, 8, 3), np.uint8)] * 2)
    assert _xmp(tmp_path / "grid.png")[EXT + "DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (44, 44)
