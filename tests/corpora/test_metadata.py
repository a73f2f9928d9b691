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
    _touch(root, "id10001/0a1B2c3D4e5/00001.mp4", "Ada_Lovelace/0a1B2c3D4e5/00001.mp4", "id11251/0a1B2c3D4e5/00001.mp4")
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
    assert found["id11251/0a1B2c3D4e5/00001.mp4"].labels == (), "who is not in the list is not in the list"


def _table(between: str, behind: str = "", header: str = "VoxCeleb2 ID|VGGFace2 ID|Gender|Set") -> str:
    rows = [header.split("|"), ["id00012", "n000012", "m", "dev"], ["id00015", "n000015", "f", "dev"]]
    return "".join(between.join(cell + behind for cell in row) + "\n" for row in rows)


VARIANTS = {
    "tabs, a blank behind all": _table("\t", " "),
    "commas, a blank behind all": _table(",", " "),
    "a blank before": _table(", "),
    "no blanks in the header": _table(",", header="VoxCeleb2ID|VGGFace2ID|Gender|Set"),
    "quoted, semicolons": "".join(f'"{line}"\n' for line in _table('";"').splitlines()),
    "HQ-VoxCeleb's": "Class_ID,Name,Sample_Num,Flag,Gender_x,VoxCeleb2ID,VGGFace2ID,Gender_y,Set\n"
    "n000012,Aaron_Ashmore,382,1,m,id00012,n000012,m,dev\nn000015,Aaron_M,248,1,f,id00015,n000015,f,dev\n",
}


@pytest.mark.parametrize("text", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("saved", ["", "bom", "crlf", "utf-16"])
def test_every_copy_of_voxceleb2s_table_that_is_about(tmp_path: Path, text: str, saved: str) -> None:
    root = tmp_path / "vox2" / "dev" / "mp4"  # the table lies two folders above
    _touch(root, "id00012/0a1B2c3D4e5/00001.mp4", "id00015/0a1B2c3D4e5/00001.mp4")
    data = {
        "": text.encode(),
        "bom": text.encode("utf-8-sig"),
        "crlf": text.replace("\n", "\r\n").encode(),
        "utf-16": text.encode("utf-16"),
    }[saved]
    (tmp_path / "vox2" / "vox2_meta.csv").write_bytes(data)
    scan = Scan(root)
    found = {item.identity: item.labels for item in scan.items()}
    assert found == {"id00012": (("gender", "male"),), "id00015": (("gender", "female"),)}
    assert scan.side.warnings == []
    (table,) = scan.side.tables
    assert len(table.rows) == 2
    assert {("voxceleb", "id00012"), ("vggface2", "n000012")} <= set(table.rows[0])


def test_celeba_as_png_and_in_other_folders(tmp_path: Path) -> None:
    """The lists name .jpg; identities are matched by stem."""
    root = tmp_path / "celeba" / "img_align_celeba_png"
    _touch(root, "000001.png", "000002.webp")
    (tmp_path / "celeba" / "Anno").mkdir()
    (tmp_path / "celeba" / "Anno" / "identity_CelebA.txt").write_text("000001.jpg 2880\r\n000002.jpg 2880\r\n")
    assert {item.identity for item in _scan(root, "still").values()} == {"2880"}


def test_vggface2_and_librispeech_say_gender(tmp_path: Path) -> None:
    _touch(tmp_path / "vgg", "train/n000001/0001_01.jpg")
    (tmp_path / "vgg" / "identity_meta.csv").write_text(
        'Class_ID, Name, Sample_Num, Flag, Gender\nn000001, "14th_Dalai_Lama", 424, 0, m\n'
    )
    scan = Scan(tmp_path / "vgg" / "train", "still")
    assert [item.labels for item in scan.items()] == [(("gender", "male"),)]
    assert scan.side.tables[0].rows == [(("vggface2", "n000001"), ("hqvoxceleb", "14th_Dalai_Lama"))]
    _touch(tmp_path / "libri", "dev-clean/84/121123/84-121123-0005.flac")
    (tmp_path / "libri" / "SPEAKERS.TXT").write_text(
        "; ID  |SEX| SUBSET           |MINUTES| NAME\n84   | F | dev-clean        | 8.02 | Christie Nowak\n"
    )
    (found,) = _scan(tmp_path / "libri" / "dev-clean", "sound").values()
    assert dict(found.labels) == {"gender": "female", "language": "en"}


@pytest.mark.parametrize("ingested", ["VGG-Face2", "VGG-Face2/data", "VGG-Face2/data/train", "links"])
def test_a_side_file_in_a_folder_that_comes_later_is_read_in_time(tmp_path: Path, ingested: str) -> None:
    """VGG-Face2/data and VGG-Face2/meta, as published."""
    _touch(tmp_path / "VGG-Face2", "data/train/n000002/0001_01.jpg")
    (tmp_path / "VGG-Face2/meta").mkdir()
    (tmp_path / "VGG-Face2/meta/identity_meta.csv").write_text("Class_ID, Name, Gender\nn000002, Ada, f\n")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/a").symlink_to(tmp_path / "VGG-Face2/data")
    (tmp_path / "links/b").symlink_to(tmp_path / "VGG-Face2/meta")
    (tmp_path / "links/c").symlink_to(tmp_path / "links")
    (found,) = _scan(tmp_path / ingested, "still").values()
    assert found.labels == (("gender", "female"),)


def test_a_gender_that_is_none_is_told(tmp_path: Path) -> None:
    _touch(tmp_path, "id10001/0a1B2c3D4e5/00001.mp4")
    rows = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet", "id10001\tA_B\tman\tUK\tdev"]
    (tmp_path / "vox1_meta.csv").write_text("\n".join(rows))
    scan = Scan(tmp_path)
    assert [dict(item.labels) for item in scan.items()] == [{"nationality": "UK"}]
    assert "neither m nor f, such as 'man'" in scan.side.warnings[0]


def test_a_name_in_two_rows_joins_nobody(tmp_path: Path) -> None:
    _touch(tmp_path, "id10001/0a1B2c3D4e5/00001.mp4")
    lines = [
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet",
        "id10001\tA_B\tm\tUK\tdev",
        "id10002\tA_B\tm\tUK\tdev",
    ]
    (tmp_path / "vox1_meta.csv").write_text("\n".join([*lines, lines[1]]))  # the same row twice says the same
    scan = Scan(tmp_path)
    assert [dict(item.labels) for item in scan.items()] == [{"gender": "male", "nationality": "UK"}]
    assert "in more than one row" in scan.side.warnings[0]
    assert scan.side.tables[0].rows == [(("voxceleb", "id10001"),), (("voxceleb", "id10002"),)]


def test_a_name_in_two_rows_has_the_labels_of_both(tmp_path: Path) -> None:
    _touch(tmp_path, "A_B/0a1B2c3D4e5/00001.mp4", "C_D/0a1B2c3D4e5/00001.mp4")
    lines = [
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet",
        "id10001\tA_B\tm\tUK\tdev",
        "id10002\tA_B\tf\tUK\tdev",
        "id10003\tC_D\tf\tUSA\tdev",
    ]
    (tmp_path / "vox1_meta.csv").write_text("\n".join(lines))
    scan = Scan(tmp_path)
    assert [dict(item.labels) for item in scan.items()] == [
        {"nationality": "UK"},
        {"gender": "female", "nationality": "USA"},
    ]
    assert "labels on which the rows differ are left out" in scan.side.warnings[0]


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
        ("vox1_meta.csv", b"Dear Sir or Madam\n", "does not name ID and Gender"),
        ("vox2_meta.csv", b"VoxCeleb2 ID,VGGFace2 ID,Gender,Set\n", "names nobody"),
        ("vox2_meta.csv", b"VoxCeleb2 ID,Gender\n\xff\xfe\xfd\n", "UTF-8"),
        ("vox1_meta.csv", b"", "does not name ID and Gender"),
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
