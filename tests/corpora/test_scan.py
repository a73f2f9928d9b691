from __future__ import annotations

import os
import sys
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from ds2f.corpora.scan import Scan, scan
from ds2f.corpora.tables import read_rows
from ds2f.errors import UserError
from ds2f.io.images import decode_image, read_image
from ds2f.types import Source
from helpers import picture


def _tree(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (len(name) + 1))


def _paths(root: Path, kind: str | None = "video") -> list[str]:
    return [found.path for found in scan(root, kind)]


def test_folder_tree_in_a_fixed_order(tmp_path: Path) -> None:
    _tree(tmp_path, "b/2.mp4", "b/1.MKV", "a/deep/er/3.webm", "0.avi")
    paths = _paths(tmp_path)
    assert sorted(paths) == ["0.avi", "a/deep/er/3.webm", "b/1.MKV", "b/2.mp4"]
    assert paths == _paths(tmp_path)


def test_items_carry_size_and_time(tmp_path: Path) -> None:
    _tree(tmp_path, "a.mp4")
    (found,) = scan(tmp_path, "video")
    status = (tmp_path / "a.mp4").stat()
    assert (found.size, found.mtime_ns, found.offset) == (status.st_size, status.st_mtime_ns, None)


def test_the_name_of_the_root_belongs_to_the_layout(tmp_path: Path) -> None:
    root = tmp_path / "id00012"
    _tree(root, "0a1B2c3D4e5/00001.mp4")
    (found,) = scan(root, "video")
    assert (found.corpus, found.identity, found.path) == ("voxceleb", "id00012", "0a1B2c3D4e5/00001.mp4")


def test_other_files_are_counted(tmp_path: Path) -> None:
    _tree(tmp_path, "a.mp4", "b.wav", "c.opus", "d.txt", "e.jpg", ".hidden.mp4", ".git/f.mp4")
    found = Scan(tmp_path)
    assert [item.path for item in found.items()] == ["a.mp4"]
    assert found.left_out == {"sound": 2, "still": 1, "other": 1}
    assert len(found.examples) == 3
    assert _paths(tmp_path, "still") == ["e.jpg"]
    assert _paths(tmp_path, "sound") == ["b.wav", "c.opus"]


def test_a_side_file_that_is_read_is_not_one_of_the_others(tmp_path: Path) -> None:
    _tree(tmp_path, "a.mp4", "notes.txt")
    (tmp_path / "vox2_meta.csv").write_text("VoxCeleb2ID,VGGFace2ID,Gender,Set\nid00012,n000012,m,dev\n")
    found = Scan(tmp_path, "video")
    assert len(list(found.items())) == 1
    assert found.left_out == {"other": 1}
    assert found.examples == ["notes.txt"]


def test_odd_names_survive(tmp_path: Path) -> None:
    names = ["with space.mp4", "ünï-日本.mp4", "quote'\".mp4", "new\nline.mp4", "%s.mp4"]
    _tree(tmp_path, *names)
    assert sorted(_paths(tmp_path)) == sorted(names)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes as a file name")
def test_a_name_that_is_not_text_is_left_out_and_counted(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system refuses such names")
    _tree(tmp_path, "a.mp4")
    found = Scan(tmp_path)
    assert [item.path for item in found.items()] == ["a.mp4"]
    assert found.left_out["other"] == 1
    assert all(example.encode() for example in found.examples)  # can be printed and stored


def test_accents_that_macos_takes_apart_make_no_other_person(tmp_path: Path) -> None:
    apart, whole = (unicodedata.normalize(form, "Zoë_Example") for form in ("NFD", "NFC"))
    root = tmp_path / "HQ-VoxCeleb" / "vox1"
    _tree(root, f"masked_faces/{apart}/1.jpg")
    (found,) = scan(root, "still")
    assert (found.corpus, found.identity) == ("hqvoxceleb", whole)
    assert (root / found.path).is_file()
    table = tmp_path / "people.csv"
    table.write_text(f"voxceleb,hqvoxceleb\nid10001,{apart}\n", encoding="utf-8")
    assert list(read_rows(table))[1] == ["id10001", whole]


PUBLISHED = [  # (kind, --person as docs/data.md advises, {path: who it is})
    ("sound", r"(\d{4})_", {"AudioWAV/1001_DFA_ANG_XX.wav": "1001", "AudioWAV/1002_DFA_ANG_XX.wav": "1002"}),
    ("sound", r"(\d\d)[ab]", {"wav/03a01Fa.wav": "03", "wav/08b02Tb.wav": "08"}),
    ("sound", "([OY]AF)_", {"OAF_angry/OAF_back_angry.wav": "OAF", "YAF_sad/YAF_back_sad.wav": "YAF"}),
    ("video", r"^([MW]\d{3})/", {"M003/video/front/angry/level_1/001.mp4": "M003", "W009/video/top/sad/1.mp4": "W009"}),
    ("video", r"(Actor_\d\d)/", {"Video_Song_Actor_01/Actor_01/01-02-01-01-01-01-01.mp4": "Actor_01"}),
    ("sound", r"^(\d{4})/", {"0001/Angry/0001_000351.wav": "0001", "0001/Sad/0001_001051.wav": "0001"}),
    ("video", r"-S\d\dA-([FM]\d\d)", {"session1/S01A/P/MSP-IMPROV-S01A-M01-P-FM02.avi": "M01"}),
    (
        "sound",
        r"/(Ses\d\d)[^/]*_([FM])\d+\.",
        {"Session1/sentences/wav/Ses01M_impro01/Ses01M_impro01_F000.wav": "Ses01/F"},
    ),
    ("video", r"/(\d{19})/", {"main/5535415699068794046/00001.mp4": "5535415699068794046"}),
    ("video", r"(\w+)_\d+\.", {"WDA_BarackObama_000.mp4": "WDA_BarackObama", "RD_Radio1_001.mp4": "RD_Radio1"}),
    ("video", r"Clip\+(.{11})\+(P\d+)", {"Clip+0BmfvJ3cFnk+P0+C1+F4520-4644.mp4": "0BmfvJ3cFnk/P0"}),
    ("video", r"/([\w-]{11})_\d{4}_S", {"train/--Y9imYnfBw_0000_S0_E150_L247_T47_R471_B271.mp4": "--Y9imYnfBw"}),
    (
        "sound",
        r"(SSB\d{4})",
        {"train/wav/SSB0005/SSB00050001.wav": "SSB0005", "test/SSB0005/SSB00050353.wav": "SSB0005"},
    ),
    (
        "video",
        r"([\w-]{11})_\d",
        {"35666/--YJQKbGtzw_0.mp4": "--YJQKbGtzw", "35666/M2Ohb0FAaJU_1.mp4": "M2Ohb0FAaJU"},
    ),
    ("sound", r"(\w+)_nohash", {"yes/0a7c2a8d_nohash_0.wav": "0a7c2a8d", "no/0a7c2a8d_nohash_1.wav": "0a7c2a8d"}),
    ("still", r"(\w+)/video", {"fadg0/video/sa1/001.jpg": "fadg0"}),
    ("still", r"(\d{3})/\w+/take", {"subjects3/001/anger/take000/img_0001.jpg": "001"}),
    ("video", r"youtube/c\d\d/videos/(\d+)", {"original_sequences/youtube/c23/videos/000.mp4": "000"}),
    ("still", r"\d+_(\w+)_\d+_[fm]", {"0_MariaCallas_35_f.jpg": "MariaCallas"}),
    ("still", r"(\d+)_\d[MF]", {"Album2/009055_1M54.JPG": "009055"}),
    ("still", r"(\d{3})A", {"images/001A02.JPG": "001"}),
    ("still", r"(nm\d+)", {"00/nm0000100_rm1024152832_1955-1-6_2003.jpg": "nm0000100"}),
]


@pytest.mark.parametrize(("kind", "person", "people"), PUBLISHED, ids=[person for _, person, _ in PUBLISHED])
def test_who_is_who_in_published_corpora_of_no_known_layout(
    tmp_path: Path, kind: str, person: str, people: dict[str, str]
) -> None:
    advised = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert f"`'{person}'`" in advised
    _tree(tmp_path, *people)
    assert {item.path: item.identity for item in Scan(tmp_path, kind, person).items()} == people


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    _tree(tmp_path, "a/1.mp4")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert _paths(tmp_path) == ["a/1.mp4"]


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    _tree(tmp_path, "elsewhere/1.mp4")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert _paths(tmp_path / "root") == ["link/1.mp4"]


def test_a_link_to_a_file_in_the_tree_is_not_a_second_person(tmp_path: Path) -> None:
    _tree(tmp_path, "root/all/1.mp4", "root/.git/annex/2.mp4", "elsewhere/3.mp4", "elsewhere/4")
    root = tmp_path / "root"
    (root / "train").mkdir()
    for name, target in (("1", "all/1.mp4"), ("2", ".git/annex/2.mp4"), ("3", "../elsewhere/3.mp4"),
                         ("4", "../elsewhere/4")):  # fmt: skip
        (root / "train" / f"{name}.mp4").symlink_to(root / target)
    found = Scan(root)
    assert [item.path for item in found.items()] == ["all/1.mp4", "train/2.mp4", "train/3.mp4", "train/4.mp4"]
    assert found.left_out == {"link": 1}


def test_hidden_members_of_a_tar_are_not_taken(tmp_path: Path) -> None:
    """macOS lays one with its own notes beside each file."""
    _tree(tmp_path, "x")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("./a.png", "./._a.png", "__MACOSX/._b.png", ".hidden/c.png", "d/e.png"):
            tar.add(tmp_path / "x", name)
    assert _paths(tmp_path / "a.tar", "still") == ["./a.png", "d/e.png"]


def test_tar_offsets_really_read_back_the_pictures(tmp_path: Path) -> None:
    archive = tmp_path / "lfw.tar"
    with tarfile.open(archive, "w") as tar:
        for number in range(1, 4):
            source = tmp_path / f"{number}.png"
            picture(source, seed=number, size=16 * number)
            tar.add(source, f"Ada_Lovelace/Ada_Lovelace_{number:04d}.png")
        tar.add(tmp_path / "1.png", "notes.txt")
    read = Scan(archive, "still")
    items = list(read.items())
    assert [found.identity for found in items] == ["Ada_Lovelace"] * 3
    assert read.left_out["other"] == 1
    for number, found in enumerate(items, 1):
        original = decode_image((tmp_path / f"{number}.png").read_bytes())
        np.testing.assert_array_equal(read_image(Source(archive, found.offset, found.size)), original)


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_compressed_tar_is_refused(tmp_path: Path, mode: str) -> None:
    picture(tmp_path / "a.png")
    for name in ("a.tar", f"a.tar.{mode}"):
        with tarfile.open(tmp_path / name, f"w:{mode}") as tar:
            tar.add(tmp_path / "a.png", "a.png")
        with pytest.raises(UserError, match="uncompressed"):
            _paths(tmp_path / name, "still")


def test_a_sound_file_is_sent_to_its_folder_and_to_generate(tmp_path: Path) -> None:
    _tree(tmp_path, "talk.wav")
    with pytest.raises(UserError, match="ds2f generate"):
        _paths(tmp_path / "talk.wav")


def test_a_single_video_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    _tree(tmp_path, "a.mp4")
    with pytest.raises(UserError, match="the folder that it lies in"):
        _paths(tmp_path / "a.mp4")
    for name in ("none", "none.tar"):
        with pytest.raises(UserError, match="There is no f"):
            _paths(tmp_path / name)


def test_links_that_lead_to_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "circle.mp4").symlink_to("circle.mp4")
    found = Scan(tmp_path)
    assert [item.path for item in found.items()] == ["a.mp4"]
    assert found.left_out["other"] == 2
    assert found.examples == ["circle.mp4", "gone.mp4"]


def test_what_is_removed_while_a_folder_is_read_is_not_missed(tmp_path: Path) -> None:
    for name in ("a/1.mp4", "b/1.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"video")
    found = Scan(tmp_path).items()
    assert next(found).path == "a/1.mp4"
    (tmp_path / "b" / "1.mp4").unlink()
    (tmp_path / "b").rmdir()
    assert list(found) == []


def test_a_file_that_is_removed_while_its_folder_is_read_is_left_out(tmp_path: Path) -> None:
    _tree(tmp_path, "1.mp4", "2.mp4", "3.mp4")
    found = Scan(tmp_path).items()
    assert next(found).path == "1.mp4"
    (tmp_path / "2.mp4").unlink()
    assert [item.path for item in found] == ["3.mp4"]
