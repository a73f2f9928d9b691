from __future__ import annotations

from pathlib import Path

import pytest

from ds2f.corpora.scan import Scan, scan
from ds2f.types import CorpusItem


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def _scan(root: Path, kind: str) -> dict[str, CorpusItem]:
    return {item.path: item for item in scan(root, kind)}


@pytest.mark.parametrize("separator", ["\t", " ,", ", "])
@pytest.mark.parametrize("beside", [True, False])
def test_voxceleb_people_have_gender_and_nationality(tmp_path: Path, separator: str, beside: bool) -> None:
    root = tmp_path / "vox1"
    _touch(root, "id10001/0a1B2c3D4e5/00001.mp4", "Ada_Lovelace/0a1B2c3D4e5/00001.mp4", "id99999/0a1B2c3D4e5/00001.mp4")
    lines = [
        ("VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set"),
        ("id10001", "A.J._Buckley", "m", "Ireland", "dev"),
        ("id10002", "Ada_Lovelace", "f", "UK", "test"),
    ]
    text = "\n".join(separator.join(line) for line in lines) + "\n"
    ((tmp_path if beside else root) / "vox1_meta.csv").write_text(text)
    found = _scan(root, "video")
    assert found["id10001/0a1B2c3D4e5/00001.mp4"].labels == (("gender", "male"), ("nationality", "Ireland"))
    assert found["Ada_Lovelace/0a1B2c3D4e5/00001.mp4"].labels == (("gender", "female"), ("nationality", "UK"))
    assert found["id99999/0a1B2c3D4e5/00001.mp4"].labels == (), "who is not in the list is not in the list"


def test_voxceleb2_says_no_nationality(tmp_path: Path) -> None:
    _touch(tmp_path, "id00012/0a1B2c3D4e5/00001.mp4")
    (tmp_path / "vox2_meta.csv").write_text("VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,f ,dev \n")
    assert _scan(tmp_path, "video")["id00012/0a1B2c3D4e5/00001.mp4"].labels == (("gender", "female"),)


@pytest.mark.parametrize("as_csv", [False, True])
def test_celeba(tmp_path: Path, as_csv: bool) -> None:
    root = tmp_path / "img_align_celeba"
    _touch(root, "000001.jpg", "000002.jpg", "000003.jpg")
    if as_csv:
        (tmp_path / "identity_CelebA.csv").write_text("image_id,identity\n000001.jpg,2880\n000002.jpg,2880\n")
        (tmp_path / "list_attr_celeba.csv").write_text("image_id,Bald,Male,Young\n000001.jpg,-1,1,-1\n")
    else:
        (tmp_path / "Anno").mkdir()
        (tmp_path / "Anno" / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg 2880\n")
        (tmp_path / "list_attr_celeba.txt").write_text("1\nBald Male Young\n000001.jpg -1  1 -1\n")
    found = _scan(root, "still")
    assert {path: item.identity for path, item in found.items()} == {
        "000001.jpg": "2880",
        "000002.jpg": "2880",
        "000003.jpg": "000003",
    }
    assert {item.corpus for item in found.values()} == {"celeba"}
    assert found["000001.jpg"].labels == (("gender", "male"), ("young", "no"))
    assert found["000002.jpg"].labels == ()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("vox1_meta.csv", b"Dear Sir or Madam\n", "names no ID and Gender"),
        ("vox2_meta.csv", b"VoxCeleb2 ID,VGGFace2 ID,Gender,Set\n", "names nobody"),
        ("vox2_meta.csv", b"VoxCeleb2 ID,Gender\n\xff\xfe\xfd\n", "UTF-8"),
        ("vox1_meta.csv", b"", "names no ID and Gender"),
        ("list_attr_celeba.txt", b"nothing\n", "no line names them"),
        ("identity_CelebA.txt", b"nothing at all\n", "no line is a picture and a number"),
        ("SPEAKERS.TXT", b"nothing\n", "list of speakers"),
    ],
)
def test_a_side_file_that_is_not_understood_is_a_warning(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    _touch(tmp_path, "id00012/0a1B2c3D4e5/00001.mp4")
    (tmp_path / name).write_bytes(content)
    found = Scan(tmp_path)
    assert [item.labels for item in found.items()] == [()]
    assert len(found.side.warnings) == 1
    assert why in found.side.warnings[0]
    assert str(tmp_path / name) in found.side.warnings[0]
