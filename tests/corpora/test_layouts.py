from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from ds2f.corpora import recognise


@pytest.mark.parametrize(
    ("path", "corpus", "identity"),
    [
        ("avspeech/0a1B2c3D4e5_12.5_18.0.mp4", "avspeech", "0a1B2c3D4e5"),
        ("avspeech/-a_B2c3D4e5_0-3.mp4", "avspeech", "-a_B2c3D4e5"),
        ("moving/0a1B2c3D4e4_14_.mp4", "avspeech", "0a1B2c3D4e4"),
        ("cut/-a_B2c3D4ek-00012.mp4", "avspeech", "-a_B2c3D4ek"),
        ("cut/0a1B2c3D4e4.mp4", "folder", "0a1B2c3D4e4"),
        ("cut/0a1B2c3D4e4_final.mp4", "folder", "0a1B2c3D4e4_final"),
        ("cut/0a1B2c3D4e5_14.mp4", "folder", "0a1B2c3D4e5_14"),  # no id ends in a 5
        ("vox1/Ada_Lovelace/0a1B2c3D4e5/0000012.mp4", "voxceleb", "Ada_Lovelace"),
        ("vox2/id00012/0a1B2c3D4e5/00001.mp4", "voxceleb", "id00012"),
        ("id00012/0a1B2c3D4e5/00001.mp4", "voxceleb", "id00012"),
        ("home/party.mp4", "folder", "party"),
        ("home/00001.mp4", "folder", "00001"),
        ("home/with.dots.mp4", "folder", "with.dots"),
    ],
)
def test_video_layouts(path: str, corpus: str, identity: str) -> None:
    name, found = recognise(PurePosixPath(path), "video")
    assert (name, found.identity, found.labels) == (corpus, identity, ())


@pytest.mark.parametrize(
    ("path", "corpus", "identity"),
    [
        ("lfw/Ada_Lovelace/Ada_Lovelace_0003.webp", "lfw", "Ada_Lovelace"),
        ("lfw/Ada_Lovelace/Charles_Babbage_0003.webp", "folder", "Ada_Lovelace/Charles_Babbage_0003"),
        ("utkface/31_1_2_20170116174525125.jpg.chip.jpg", "utkface", "31_1_2_20170116174525125"),
        ("utkface/31_1_9_20170116174525125.jpg", "folder", "31_1_9_20170116174525125"),
        ("faces/me.png", "folder", "me"),
        ("img_align_celeba/000001.jpg", "celeba", "000001"),
        ("CelebA/000001.jpg", "celeba", "000001"),
        ("photos/000001.jpg", "folder", "000001"),
        ("ffhq/00000/00012.png", "ffhq", "00012"),
        ("images1024x1024/00012.png", "ffhq", "00012"),
        ("photos/00012.png", "folder", "00012"),
        ("vggface2/train/n000002/0001_01.jpg", "vggface2", "n000002"),
    ],
)
def test_face_layouts(path: str, corpus: str, identity: str) -> None:
    name, found = recognise(PurePosixPath(path), "still")
    assert (name, found.identity) == (corpus, identity)


def test_utkface_names_state_age_gender_and_ethnicity() -> None:
    _, found = recognise(PurePosixPath("utkface/31_1_2_20170116174525125.webp"), "still")
    assert found.labels == (("age", "31"), ("gender", "female"), ("ethnicity", "Asian"))


@pytest.mark.parametrize(
    "name",
    [
        "GeorgeLucas",
        "interviews8",
        "clip_000004",
        "Interview04",
        "US_Today_04",
        "Plan_B_2024",
        "2024-Jan-04",
        "MyTVShow_04",
    ],
)
def test_eleven_letters_of_a_name_are_no_youtube_id(name: str) -> None:
    corpus, found = recognise(PurePosixPath(f"home/{name}_01.mp4"), "video")
    assert (corpus, found.identity) == ("folder", f"{name}_01")


def test_clips_of_one_video_are_one_identity_whatever_they_are_called() -> None:
    """Else one of them could be in train and the other in test."""
    names = ("avspeech/0a1B2c3D4e4_24.760-29.960.mp4", "moving/0a1B2c3D4e4_106_.mp4", "x/y/0a1B2c3D4e4.00001.mp4")
    assert {recognise(PurePosixPath(name), "video")[1].identity for name in names} == {"0a1B2c3D4e4"}
    assert {recognise(PurePosixPath(name), "video")[0] for name in names} == {"avspeech"}


def test_two_clips_of_one_person_are_one_identity() -> None:
    paths = ("v/id00012/0a1B2c3D4e5/00001.mp4", "v/id00012/1a1B2c3D4e5/00009.mp4")
    assert len({recognise(PurePosixPath(path), "video")[1].identity for path in paths}) == 1


def test_files_of_one_name_in_two_folders_are_two_identities() -> None:
    one, two = (recognise(PurePosixPath(path), "video")[1].identity for path in ("r/a/x.mp4", "r/b/x.mp4"))
    assert one != two
