from __future__ import annotations

from pathlib import PurePosixPath
from time import perf_counter

import pytest

from ds2f.corpora import recognise, video_of
from ds2f.corpora.base import is_name
from ds2f.errors import UserError


@pytest.mark.parametrize(
    ("path", "corpus", "identity"),
    [
        ("avspeech/0a1B2c3D4e5_12.5_18.0.mp4", "avspeech", "0a1B2c3D4e5"),
        ("avspeech/-a_B2c3D4e5_0-3.mp4", "avspeech", "-a_B2c3D4e5"),
        ("AVSpeech/train/Emma_Watson_3_9.mp4", "avspeech", "Emma_Watson"),  # one id in five might be words
        ("moving/0a1B2c3D4e4_14_.mp4", "avspeech", "0a1B2c3D4e4"),
        ("cut/-a_B2c3D4ek-00012.mp4", "avspeech", "-a_B2c3D4ek"),
        ("cut/0a1B2c3D4e4.mp4", "folder", "0a1B2c3D4e4"),
        ("cut/0a1B2c3D4e4_final.mp4", "folder", "0a1B2c3D4e4_final"),
        ("cut/0a1B2c3D4e5_14.mp4", "folder", "0a1B2c3D4e5_14"),  # no id ends in a 5
        ("vox1/Ada_Lovelace/0a1B2c3D4e5/0000012.mp4", "voxceleb", "Ada_Lovelace"),
        ("vox2/id00012/0a1B2c3D4e5/00001.mp4", "voxceleb", "id00012"),
        ("id00012/0a1B2c3D4e5/00001.mp4", "voxceleb", "id00012"),
        ("vox/train/id10280#0a1B2c3D4e5#001093#001192.mp4", "voxceleb", "id10280"),
        ("flat/id00012_21Uxsk56VDQ_00001.mp4", "voxceleb", "id00012"),
        ("VoxBlink/video/id00012/0a1B2c3D4e5/00001.mp4", "voxblink", "id00012"),  # not VoxCeleb's
        ("data/id000012/0a1B2c3D4e5/00001.mp4", "voxblink", "id000012"),
        ("MOSI/Raw/0a1B2c3D4e4/12.mp4", "avspeech", "0a1B2c3D4e4"),
        ("study/id00015/session-001/00001.mp4", "folder", "id00015/session-001/00001"),
        ("study/id000015/session-001/00001.mp4", "folder", "id000015/session-001/00001"),
        ("study/id00015_session-001_00001.mp4", "folder", "id00015_session-001_00001"),
        ("study/test/participant/00001.mp4", "folder", "test/participant/00001"),
        ("study/test/subject0001/00001.mp4", "folder", "test/subject0001"),
        ("My_Videos/0a1B2c3D4e4/00001.mp4", "avspeech", "0a1B2c3D4e4"),  # a collection is nobody
        ("HDTF/0a1B2c3D4e5/00001.mp4", "folder", "0a1B2c3D4e5/00001"),
        ("vox1/Ed_O'Neill/0a1B2c3D4e5/00001.mp4", "voxceleb", "Ed_O'Neill"),
        ("vox1/Anoushka/0a1B2c3D4e5/00001.mp4", "voxceleb", "Anoushka"),
        ("a/id00001/0a1B2c3D4e4-00000.mp4", "folder", "id00001"),  # also of other videos
        ("study/subject_3/left.mp4", "folder", "subject_3"),
        ("subject_3/left.mp4", "folder", "left"),  # the root itself
        ("a/interview_1_2_3.mp4", "folder", "interview_1_2_3"),
        ("Train/Emma_Watson/00001.mp4", "folder", "Emma_Watson/00001"),
        ("study/Anna/session-001/00001.mp4", "folder", "Anna/session-001/00001"),
        ("project/test/interview_1/00001.mp4", "folder", "test/interview_1/00001"),
        ("home/clips/0a1B2c3D4e5/00001.mp4", "folder", "clips/0a1B2c3D4e5/00001"),  # nobody is called clips
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
        ("faces/Val_Kilmer/Val_Kilmer_0003.jpg", "lfw", "Val_Kilmer"),
        ("lfw/Juanes/Juanes_0003.jpg", "lfw", "Juanes"),
        ("facesA/s01/s01_0001.jpg", "folder", "s01/s01_0001"),
        ("clips/Training_Frames/Training_Frames_0001.jpg", "folder", "Training_Frames/Training_Frames_0001"),
        ("Frames/0a1B2c3D4e4/00001.jpg", "folder", "0a1B2c3D4e4/00001"),
        ("CelebA_Spoof/Data/train/5/live/000005.jpg", "folder", "Data/train/5/live/000005"),
        ("mine/0000001/001.jpg", "folder", "0000001/001"),
        ("RMFD/masked_faces/12/1.jpg", "folder", "masked_faces/12/1"),
        ("utkface/31_1_2_20170116174525125.jpg.chip.jpg", "utkface", "31_1_2_20170116174525125"),
        ("utkface/31_1_9_20170116174525125.jpg", "folder", "31_1_9_20170116174525125"),
        ("utkface/31_1_2_201701161745251250.jpg", "utkface", "31_1_2_201701161745251250"),
        ("home/10_0_1_5.jpg", "folder", "10_0_1_5"),  # no time of day
        ("faces/me.png", "folder", "me"),
        ("img_align_celeba/000001.jpg", "celeba", "000001"),
        ("CelebA/000001.jpg", "celeba", "000001"),
        ("photos/000001.jpg", "folder", "000001"),
        ("ffhq/00000/00012.png", "ffhq", "00012"),
        ("images1024x1024/00012.png", "ffhq", "00012"),
        ("photos/00012.png", "folder", "00012"),
        ("vggface2/train/n000002/0001_01.jpg", "vggface2", "n000002"),
        ("utkface/24_0_1_20170116220224657 .jpg.chip.jpg", "utkface", "24_0_1_20170116220224657"),
        ("utkface/55_0_0_20170116232725357jpg.chip.jpg", "utkface", "55_0_0_20170116232725357"),
        ("utkface/39_1_20170116174525125.jpg.chip.jpg", "utkface", "39_1_20170116174525125"),
        ("utkface/53__0_20170116184028385.jpg", "utkface", "53__0_20170116184028385"),
        ("vox1/masked_faces/A.J._Buckley/1.jpg", "hqvoxceleb", "A.J._Buckley"),
        ("origin_faces/A.J._Buckley/12.jpg", "hqvoxceleb", "A.J._Buckley"),
        ("unzippedFaces/A.J._Buckley/1.6/0a1B2c3D4e5/0000025.jpg", "voxceleb", "A.J._Buckley"),
        ("VGGFace/A.J._Buckley/00000012.jpg", "vggface", "A.J._Buckley"),
        ("vgg1/Anoushka/00000012.jpg", "vggface", "Anoushka"),
        ("CASIA-WebFace/0000045/001.jpg", "casia", "0000045"),
        ("All-Age-Faces Dataset/original images/00123A45.jpg", "allagefaces", "00123"),
        ("SCUT-FBP5500_v2/Images/CM12.jpg", "scut", "CM12"),
        ("photos/CM12.jpg", "folder", "CM12"),
        ("mav/v1/faces/id0001/English/0a1B2c3D4e5/0010125.jpg", "mavceleb", "v1/id0001"),
        ("mavceleb_v3_test/faces/German/00012.jpg", "mavceleb", "v3/test/faces/German/00012"),
        ("pictures/Some_Person/1.jpg", "folder", "Some_Person"),
        ("train/Emma_Watson/00001.jpg", "folder", "Emma_Watson"),  # eleven letters, as an id of YouTube
        ("vgg1/Emma_Watson/00012.jpg", "vggface", "Emma_Watson"),
        ("CelebAMask-HQ/CelebA-HQ-img/0.jpg", "folder", "CelebA-HQ-img/0"),  # a collection is nobody
        ("mine/Training_Set/12.jpg", "folder", "Training_Set/12"),
        ("mine/Face_Images_2/12.jpg", "folder", "Face_Images_2/12"),
        ("pictures/Jean-Luc_de_la_Tour/0012.jpg", "folder", "Jean-Luc_de_la_Tour"),
        ("pictures/train/id00017/1.jpg", "folder", "train/id00017"),
        ("pictures/summer/1.jpg", "folder", "summer/1"),
        ("pictures/Some_Person/portrait.jpg", "folder", "Some_Person/portrait"),
    ],
)
def test_face_layouts(path: str, corpus: str, identity: str) -> None:
    name, found = recognise(PurePosixPath(path), "still")
    assert (name, found.identity) == (corpus, identity)


@pytest.mark.parametrize(
    ("path", "corpus", "identity", "labels"),
    [
        ("vox1/wav/id10001/0a1B2c3D4e5/00001.wav", "voxceleb", "id10001", ()),
        ("flat/x/id10001-1zcIwhmdeo4-00001.wav", "voxceleb", "id10001", ()),
        ("lrs3/test/0a1B2c3D4e5/00001.wav", "lrs3", "0a1B2c3D4e5", (("language", "en"),)),
        ("LibriTTS/dev-clean/84/121123/84_121123_000007_000000.wav", "librispeech", "84", (("language", "en"),)),
        ("dev/aac/id00012/0a1B2c3D4e5/00001.m4a", "voxceleb", "id00012", ()),
        ("v2/voices/id0001/Hindi/0a1B2c3D4e5/00000.wav", "mavceleb", "v2/id0001", (("language", "hi"),)),
        ("mav/voices/id0001/Urdu/0a1B2c3D4e5/00000.wav", "mavceleb", "id0001", (("language", "ur"),)),
        ("v1/voices/English/00000.wav", "mavceleb", "v1/test/voices/English/00000", (("language", "en"),)),
        ("train-clean-100/84/121123/84-121123-0005.flac", "librispeech", "84", (("language", "en"),)),
        (
            "tts/1034/121119/1034_121119_000001_000001.wav",
            "librispeech",
            "1034",
            (("language", "en"),),
        ),  # no YouTube id
        ("mls_german/train/audio/10087/10388/10087_10388_000000.flac", "librispeech", "10087", ()),
        ("CN-Celeb/data/id00000/live_broadcast-01-001.flac", "cnceleb", "id00000", (("language", "zh"),)),
        ("CN-Celeb/eval/test/id00800-play-03-001.wav", "cnceleb", "id00800", (("language", "zh"),)),
        ("study/id00015/session-01-001.wav", "folder", "id00015", ()),
        ("CN-Celeb/eval/enroll/id00800-enroll.wav", "cnceleb", "id00800", (("language", "zh"),)),
        ("clips/common_voice_zh-CN_12.mp3", "commonvoice", "common_voice_zh-CN_12", (("language", "zh"),)),
        ("speech/84/121123-0005.opus", "folder", "84", ()),
        ("speech/a.wav", "folder", "a", ()),
    ],
)
def test_voice_layouts(path: str, corpus: str, identity: str, labels: tuple[tuple[str, str], ...]) -> None:
    name, found = recognise(path, "sound")
    assert (name, found.identity, found.labels) == (corpus, identity, labels)


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("aaf/original images/07380A02.jpg", (("age", "2"), ("gender", "female"))),
        ("aaf/original images/07381A35.jpg", (("age", "35"), ("gender", "male"))),
        ("SCUT-FBP5500/AF1.jpg", (("gender", "female"), ("ethnicity", "Asian"))),
        ("SCUT-FBP5500/CM750.jpg", (("gender", "male"), ("ethnicity", "White"))),
        ("UTKFace/61_3_20170109150557335.jpg.chip.jpg", (("age", "61"),)),
        ("UTKFace/39_1_20170116174525125.jpg.chip.jpg", (("age", "39"),)),
        ("UTKFace/55_0_0_20170116232725357jpg.chip.jpg", (("age", "55"), ("gender", "male"), ("ethnicity", "White"))),
        ("v1/faces/id0001/English/0a1B2c3D4e5/0010125.jpg", (("language", "en"),)),
    ],
)
def test_what_names_of_pictures_state(path: str, labels: tuple[tuple[str, str], ...]) -> None:
    assert recognise(path, "still")[1].labels == labels


@pytest.mark.parametrize(
    ("corpus", "path", "video"),
    [
        ("voxceleb", "wav/id10001/0a1B2c3D4e5/00001.wav", "0a1B2c3D4e5"),
        ("voxceleb", "A.J._Buckley/1.6/0a1B2c3D4e5/0000025.jpg", "0a1B2c3D4e5"),
        ("voxceleb", "0a1B2c3D4e5/00001.wav", "0a1B2c3D4e5"),
        ("voxceleb", "id10280#0a1B2c3D4e5#001093#001192.mp4", "0a1B2c3D4e5"),
        ("mavceleb", "voices/id0001/Urdu/0a1B2c3D4e5/00000.wav", "0a1B2c3D4e5"),
        ("librispeech", "84/121123/84-121123-0005.flac", "84-121123"),
        ("hqvoxceleb", "vox1/masked_faces/A_B/1.jpg", "A_B/1"),
        ("hqvoxceleb", "vox1/origin_faces/A_B/1.jpg", "A_B/1"),
        ("voxblink", "id00012/0a1B2c3D4e5/00001.wav", "0a1B2c3D4e5"),
        ("cnceleb", "data/id00000/singing-01-002.flac", "id00000/singing-01"),
        ("cnceleb", "eval/test/id00800-singing-01-001.wav", "id00800/singing-01"),
        ("avspeech", "Raw/0a1B2c3D4e4/12.mp4", "0a1B2c3D4e4"),
        ("folder", "a/b.wav", None),
        ("folder", "a/0a1B2c3D4e4_7.jpg", "0a1B2c3D4e4"),
        ("lfw", "Christopher_Lee/Christopher_Lee_0001.jpg", None),  # a first name of eleven letters is no YouTube id
        ("lfw", "Jean-Pierre_Raffarin/Jean-Pierre_Raffarin_0002.jpg", None),
        ("kaldi", "a/b.wav#t=0.5,2.5&channel=2", "kaldi/a/b.wav"),
        ("kaldi", "a/b.wav#t=3.5,4", "kaldi/a/b.wav"),
        ("voxceleb", "id10001/0a1B2c3D4e5/00001.wav#channel=2", "0a1B2c3D4e5"),
    ],
)
def test_what_was_cut_from_one_video_or_session(corpus: str, path: str, video: str | None) -> None:
    assert video_of(corpus, path) == video


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


@pytest.mark.parametrize("path", ["data/id11252/0a1B2c3D4e5/00001.wav", "data/id38064-0a1B2c3D4e5-00001.wav"])
def test_numbers_that_voxceleb_does_not_have_are_refused(path: str) -> None:
    """VoxBlink's id00012 would be VoxCeleb's, and of its people one has a higher number than any of VoxCeleb."""
    with pytest.raises(UserError, match=r"VoxCeleb has no id\d{5}, but .* put it in a folder of that name"):
        recognise(path, "sound")
    if "/0a" in path:
        assert recognise(f"VoxBlink/{path}", "sound")[0] == "voxblink"


def test_clips_of_one_video_are_one_identity_whatever_they_are_called() -> None:
    """Else one of them could be in train and the other in test."""
    names = ("avspeech/0a1B2c3D4e4_24.760-29.960.mp4", "moving/0a1B2c3D4e4_106_.mp4", "x/y/0a1B2c3D4e4.00001.mp4")
    assert {recognise(PurePosixPath(name), "video")[1].identity for name in names} == {"0a1B2c3D4e4"}
    assert {recognise(PurePosixPath(name), "video")[0] for name in names} == {"avspeech"}


def test_long_names_of_folders_are_read_at_once() -> None:
    start = perf_counter()
    names = ["A" * 255, "A." * 127 + "1", "Aa.." * 63 + "1", "A.B_" * 63 + "1"]
    assert not any(is_name(name) for name in names)
    assert perf_counter() - start < 1


def test_two_clips_of_one_person_are_one_identity() -> None:
    paths = ("v/id00012/0a1B2c3D4e5/00001.mp4", "v/id00012/1a1B2c3D4e5/00009.mp4")
    assert len({recognise(PurePosixPath(path), "video")[1].identity for path in paths}) == 1


def test_files_of_one_name_in_two_folders_are_two_identities() -> None:
    one, two = (recognise(PurePosixPath(path), "video")[1].identity for path in ("r/a/x.mp4", "r/b/x.mp4"))
    assert one != two
