"""`ds2f ingest` on trees laid out as the corpora are published: what it takes files for, and who is one person."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2f.cli import main
from ds2f.dataset import Dataset
from ds2f.dataset.queries import SplitRule


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


class Workplace:
    """A database, and the commands on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.database, self.capsys = folder, folder / "d.db", capsys

    def ingest(self, *arguments: str | Path, code: int = 0) -> str:
        """What was said."""
        assert main(["ingest", *map(str, arguments), "--database", str(self.database)]) == code
        said = self.capsys.readouterr()
        return said.out + said.err

    def people(self) -> dict[str, set[str]]:
        """{person: paths of their files}."""
        with Dataset(self.database) as dataset:
            rows = dataset.connection.execute(
                "SELECT p.corpus || '/' || p.name, v.path FROM videos v JOIN identities i ON i.id = v.identity_id"
                " JOIN identities p ON p.id = coalesce(i.person_id, i.id)"
            ).fetchall()
        found: dict[str, set[str]] = {}
        for person, path in rows:
            found.setdefault(person, set()).add(path)
        return found

    def labels(self) -> dict[str, dict[str, str]]:
        with Dataset(self.database) as dataset:
            rows = dataset.connection.execute(
                "SELECT v.path, attribute, value FROM videos v JOIN labels l ON l.video_id = v.id"
            ).fetchall()
        found: dict[str, dict[str, str]] = {}
        for path, attribute, value in rows:
            found.setdefault(path, {})[attribute] = value
        return found


@pytest.fixture
def work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Workplace:
    return Workplace(tmp_path, capsys)


VOX1 = """VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet
id10001\tA.J._Buckley\tm\tIreland\tdev
id10002\tA.R._Rahman\tm\tIndia\tdev
"""


def test_sound_by_number_and_faces_by_name_are_one_person(work: Workplace) -> None:
    """HQ-VoxCeleb's faces with VoxCeleb1's sound, as SF2F joins them."""
    tree(work.folder / "vox1", "wav/id10001/0a1B2c3D4e5/00001.wav", "wav/id10003/0a1B2c3D4e6/00001.wav")
    (work.folder / "vox1" / "vox1_meta.csv").write_text(VOX1)
    hq = tree(work.folder / "HQ-VoxCeleb" / "vox1", "masked_faces/A.J._Buckley/1.jpg", "origin_faces/A.J_Buckley/1.jpg")
    said = work.ingest("--kind", "voices", work.folder / "vox1" / "wav")
    assert "2 sounds for voxceleb" in said
    assert "vox1_meta.csv: 2 people" in said
    said = work.ingest("--kind", "faces", hq)
    assert "2 pictures for hqvoxceleb" in said
    assert "vox1_meta.csv joins 1 person; left over: 0 with one name here, 1 with none." in said
    assert "In total 3 people: 1 with voices and faces, 1 with voices only, 1 with faces only." in said
    people = work.people()
    assert people["voxceleb/id10001"] == {"id10001/0a1B2c3D4e5/00001.wav", "masked_faces/A.J._Buckley/1.jpg"}
    assert people["hqvoxceleb/A.J_Buckley"] == {"origin_faces/A.J_Buckley/1.jpg"}, "nearly alike is not alike"


def test_voxceleb2_and_vggface2_by_their_table(work: Workplace) -> None:
    tree(work.folder / "vox2", "dev/aac/id00012/21Uxsk56VDQ/00001.m4a", "dev/mp4/id00012/21Uxsk56VDQ/00001.mp4")
    tree(work.folder / "vox2", "dev/mp4/id00012/21Uxsk56VDQ/00002.mp4")
    table = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,m ,dev \n"
    (work.folder / "vox2" / "vox2_meta.csv").write_text(table)
    faces = tree(work.folder / "vggface2", "train/n000012/0001_01.jpg", "train/n000013/0001_01.jpg")
    work.ingest("--kind", "voices", work.folder / "vox2" / "dev" / "aac")
    said = work.ingest(work.folder / "vox2" / "dev" / "mp4")
    assert "2 files, 2 new, 0 changed; 1 sounds left out because their videos are there" in said
    said = work.ingest("--kind", "faces", faces)
    assert "In total 2 people: 1 with voices and faces, 0 with voices only, 1 with faces only." in said
    files = {"id00012/21Uxsk56VDQ/00001.mp4", "id00012/21Uxsk56VDQ/00002.mp4", "train/n000012/0001_01.jpg"}
    assert work.people()["voxceleb/id00012"] == files


def test_mav_celeb_holds_both_kinds_in_one_tree(work: Workplace) -> None:
    root = tree(
        work.folder / "mav-celeb",
        "voices/id0001/English/U3rWfLEkFvg/00000.wav",
        "voices/id0001/Urdu/u3rWfLEkFvg/00000.wav",
        "faces/id0001/English/U3rWfLEkFvg/0010125.jpg",
        "faces/English/00000.jpg",
        "voices/English/00000.wav",
        "notes/id0001.jpg",
    )
    said = work.ingest(root)
    assert "3 sounds for mavceleb, 2 pictures for mavceleb" in said
    assert "5 files, 5 new, 0 changed; 1 other files left out" in said
    assert "In total 3 people: 1 with voices and faces, 1 with voices only, 1 with faces only." in said
    assert work.labels()["voices/id0001/Urdu/u3rWfLEkFvg/00000.wav"] == {"language": "ur"}
    assert "mavceleb/mav-celeb/id0001" in work.people()


def test_people_of_mav_celebs_versions_are_not_one_though_they_have_one_number(work: Workplace) -> None:
    for version, language in (("v1", "Urdu"), ("v2", "Hindi")):
        inside = f"id0001/{language}/U3rWfLEkFvg"
        work.ingest(tree(work.folder / version, f"voices/{inside}/00000.wav", f"faces/{inside}/0001.jpg"))
    assert set(work.people()) == {"mavceleb/v1/id0001", "mavceleb/v2/id0001"}


def test_voices_and_faces_of_one_tree_ingested_apart_are_one_person(work: Workplace) -> None:
    for place in ("one/mav", "two/mav"):
        inside = "id0001/Urdu/U3rWfLEkFvg"
        root = tree(work.folder / place, f"voices/{inside}/00000.wav", f"faces/{inside}/0001.jpg")
        work.ingest("--kind", "voices", root / "voices")
        said = work.ingest("--kind", "faces", root / "faces")
    assert "In total 2 people: 2 with voices and faces" in said
    assert set(work.people()) == {"mavceleb/mav/id0001", "mavceleb/two/mav/id0001"}


def test_a_table_of_the_users_own(work: Workplace) -> None:
    voices = tree(work.folder / "calls", "ann/1.wav", "ann/2.wav", "bob/1.wav")
    faces = tree(work.folder / "passports", "Ann_Example/1.jpg", "x.jpg")
    table = work.folder / "people.csv"
    table.write_bytes("calls;passports;voxceleb\r\nann;Ann_Example;id10001\r\nbob;x;\r\n;;id9\r\n".encode("utf-8-sig"))
    work.ingest("--kind", "voices", voices)
    said = work.ingest("--kind", "faces", faces, "--people", table)
    assert f"{table} joins 2 people; left over: 0 with one name here, 0 with none." in said
    assert "In total 2 people: 2 with voices and faces" in said
    assert work.people()["folder/calls/ann"] == {"ann/1.wav", "ann/2.wav", "Ann_Example/1.jpg"}


@pytest.mark.parametrize("last", ["of all", "before an error"])
def test_who_moves_to_another_split_is_said_for_every_folder(work: Workplace, last: str) -> None:
    rule = SplitRule()
    calls = [f"call{n}" for n in range(99) if rule.of("folder", f"calls/call{n}") == "train"][:2]
    tests = [f"test{n}" for n in range(99) if rule.of("folder", f"tests/test{n}") == "test"][:2]
    one = tree(work.folder / "tests", *(f"{name}/1.wav" for name in tests))
    two = tree(work.folder / "calls", *(f"{name}/1.wav" for name in calls))
    work.ingest("--kind", "voices", one, two)
    table = work.folder / "people.csv"
    table.write_text("tests,calls\n" + "".join(f"{a},{b}\n" for a, b in zip(tests, calls, strict=True)))
    nothing = [tree(work.folder / "nothing", "1.txt")] if last == "before an error" else []
    said = work.ingest("--kind", "voices", one, two, *nothing, "--people", table, code=2 if nothing else 0)
    assert "2 identities moved from train to test, to join their person" in said.replace("\n", " ")


def test_a_manifest_is_a_column_by_the_name_of_its_folder(work: Workplace) -> None:
    sound = tree(work.folder / "audio", "1.wav") / "1.wav"
    data = tree(work.folder / "call-center", "readme.md")
    (data / "wav.scp").write_text(f"u1 {sound}\n")
    (data / "utt2spk").write_text("u1 agent7\n")
    faces = tree(work.folder / "badges", "0007.jpg")
    table = work.folder / "people.csv"
    table.write_text("call-center,badges\nagent7,0007\n")
    work.ingest(data)
    said = work.ingest("--kind", "faces", faces, "--people", table)
    assert "is not a corpus" not in said
    assert "joins 1 person; left over: 0 with one name here, 0 with none." in said
    assert work.people() == {"kaldi/call-center/agent7": {"1.wav", "0007.jpg"}}


def test_columns_are_called_as_corpora_are_and_others_are_told(work: Workplace) -> None:
    voices = tree(work.folder / "wav", "id10001/0a1B2c3D4e5/00001.wav")
    faces = tree(work.folder / "casia", "0000045/001.jpg")
    table = work.folder / "people.csv"
    table.write_text("VoxCeleb1 ID\tCASIA-WebFace\tpasports\nid10001\t0000045\tann\n")
    work.ingest("--kind", "voices", voices)
    said = work.ingest("--kind", "faces", faces, "--people", table)
    assert f"{table}: 'pasports' is not a corpus, and no folder of that name is ingested yet." in said
    assert "In total 1 person: 1 with voices and faces" in said


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("voxceleb,vggface2\nid1,n1\nid2,n1\n", "has vggface2/n1 in row 2 and in row 3; a person has one row"),
        ("voxceleb\nid1\n", "must name two or more corpora"),
        ("", "must name two or more corpora"),
        ("voxceleb,vggface2\nid1,n1,m\n", "Row 2 of .* has 3 cells"),
        ("voxceleb,vggface2\n", "joins nobody: no row has names in two columns"),
        ("voxceleb,vggface2\nid1,\n,n1\n", "joins nobody: no row has names in two columns"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_before_anything_is_entered(
    work: Workplace, content: str, reason: str
) -> None:
    import re

    (work.folder / "people.csv").write_text(content)
    voices = tree(work.folder / "calls", "ann/1.wav")
    said = work.ingest("--kind", "voices", voices, "--people", work.folder / "people.csv", code=2)
    assert re.search(reason, said.replace("\n", " "))
    assert not work.database.exists()


def test_who_is_in_an_unknown_folder_is_said_and_can_be_told(work: Workplace) -> None:
    faces = tree(work.folder / "faces", "summer/1.jpg", "summer/2.jpg", "Some_Person/1.jpg", "Some_Person/2.jpg")
    said = work.ingest("--kind", "faces", faces)
    assert "4 pictures of no known layout, counted as 3 people (see --person)" in said
    assert len(work.people()) == 3
    work.ingest("--kind", "faces", faces, "--person", "folder")
    assert set(work.people()) == {"folder/faces/summer", "folder/faces/Some_Person"}
    work.ingest("--kind", "faces", faces, "--person", "file")
    assert len(work.people()) == 4


CREMA_D = ("1001_DFA_ANG_XX", "1001_IEO_FEA_HI", "1002_DFA_ANG_XX")


def test_who_is_in_an_unknown_folder_is_what_a_pattern_finds(work: Workplace) -> None:
    voices = tree(work.folder / "CREMA-D", *(f"AudioWAV/{name}.wav" for name in CREMA_D), "AudioWAV/noise.wav")
    tree(voices, *(f"VideoFlash/{name}.flv" for name in CREMA_D))
    said = work.ingest("--kind", "voices", voices)
    assert "4 sounds of no known layout, counted as 1 person (see --person)" in said
    said = work.ingest("--kind", "voices", voices, "--person", r"(\d{4})_").replace("\n", " ")
    assert r"--person (\d{4})_ does not match 1 files; each of them counts as a person." in said
    assert "4 sounds of no known layout, counted as 3 people" in said
    said = work.ingest(voices).replace("\n", " ")
    assert r"(\d{4})_ says who it is, as chosen at an earlier ingest" in said
    assert {person: len(files) for person, files in work.people().items()} == {
        "folder/CREMA-D/1001": 4,
        "folder/CREMA-D/1002": 2,
        "folder/CREMA-D/AudioWAV/noise": 1,
    }


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("foldr", "neither folder nor file, nor a regular expression with the person in"),
        ("(", "no regular expression"),
        (r"(\d{9})", "matches no file in .*calls; give another. It was not entered"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(work: Workplace, rule: str, reason: str) -> None:
    import re

    said = work.ingest("--kind", "voices", tree(work.folder / "calls", "ann/1.wav"), "--person", rule, code=2)
    assert re.search(reason, said.replace("\n", " "))
    assert not work.database.exists() or not work.people()


@pytest.mark.parametrize("first", ["all", "all/calls"])
def test_what_is_left_out_is_not_said_to_be_taken(work: Workplace, first: str) -> None:
    tree(work.folder, "all/calls/1.mp4", "all/calls/2.mp4", "all/more/3.mp4")
    second = "all" if first == "all/calls" else "all/calls"
    work.ingest(work.folder / first)
    said = work.ingest(work.folder / second).replace("\n", " ")
    assert "2 left out because they were entered from another folder" in said
    assert ("1 video of no known layout, counted as 1 person" in said) if second == "all" else ("Taken" not in said)


def test_what_an_earlier_ingest_found_and_this_one_does_not_is_said(work: Workplace) -> None:
    root = tree(work.folder / "videos", "a/1.mp4", "a/2.mp4", "a/1.jpg")
    work.ingest(root)
    said = work.ingest("--kind", "faces", root)
    assert "not found" not in said, "a folder of videos and pictures is ingested twice"
    (root / "a").rename(root / "b")
    said = work.ingest(root).replace("\n", " ")
    assert (
        "2 new, 0 changed; 1 other files left out; 2 entered before and not found now, which stay in the data" in said
    )
    assert len(work.people()) == 4


def test_what_another_manifest_of_the_folder_names_is_not_missed(work: Workplace) -> None:
    sound = tree(work.folder / "sound", "1.wav", "2.wav", "3.wav", "4.wav")
    for name, numbers in (("train", (1, 2)), ("test", (3, 4))):
        data = tree(work.folder / name, "wav.scp", "segments")
        (data / "wav.scp").write_text("".join(f"r{n} {sound}/{n}.wav\n" for n in numbers))
        (data / "segments").write_text("".join(f"u{n} r{n} 0 1\n" for n in numbers))
        assert "not found now" not in work.ingest(data).replace("\n", " ")
    said = work.ingest("--kind", "voices", sound).replace("\n", " ")
    assert "4 new" in said
    assert "not found now" not in said, "parts of a sound are no files of a folder"


def test_common_voice_names_its_people_in_tables(work: Workplace) -> None:
    clips = [f"clips/common_voice_de_{n}.mp3" for n in (1, 2, 3, 4)]
    root = tree(work.folder / "cv-corpus-17.0" / "de", *clips)
    header = "client_id\tpath\tsentence\tgender\tlocale\n"
    (root / "validated.tsv").write_text(
        f'{header}aa\tcommon_voice_de_1.mp3\t"Ja\tmale_masculine\tde\nbb\tcommon_voice_de_2.mp3\tNein\t\tde\n'
    )
    (root / "other.tsv").write_text("path\tclient_id\ncommon_voice_de_3.mp3\taa\n\n")
    (root / "train.tsv").write_text("/data\n1.wav\t16000\n")  # of fairseq
    said = work.ingest("--kind", "voices", root / "clips").replace("\n", " ")
    assert "train.tsv" not in said
    assert "4 sounds for commonvoice" in said
    assert "validated.tsv: 2 clips" in said
    assert work.people() == {
        "commonvoice/aa": {"common_voice_de_1.mp3", "common_voice_de_3.mp3"},
        "commonvoice/bb": {"common_voice_de_2.mp3"},
        "commonvoice/common_voice_de_4": {"common_voice_de_4.mp3"},
    }
    assert work.labels()["common_voice_de_3.mp3"] == {"language": "de", "gender": "male"}
    assert work.labels()["common_voice_de_2.mp3"] == {"language": "de"}


def test_who_is_in_an_unknown_folder_is_remembered(work: Workplace) -> None:
    faces = tree(work.folder / "faces", "summer/1.jpg", "summer/2.jpg", "autumn/1.jpg")
    work.ingest("--kind", "faces", faces, "--person", "folder")
    people = work.people()
    said = work.ingest("--kind", "faces", faces)
    assert "recognised better" not in said
    assert "Each folder counts as a person, as chosen at an earlier ingest" in said
    assert work.people() == people
    work.ingest("--kind", "faces", faces, "--person", "file")
    assert "Each file counts as a person" in work.ingest("--kind", "faces", faces)
    assert len(work.people()) == 3
    other = tree(work.folder / "others", "a/x.jpg", "a/y.jpg")
    assert "earlier ingest" not in work.ingest("--kind", "faces", other), "each ingested folder has its own choice"


@pytest.mark.parametrize("missing", [True, False])
def test_what_side_files_stated_is_kept_while_they_cannot_be_read(work: Workplace, missing: bool) -> None:
    faces = tree(work.folder / "celeba", "000001.jpg", "000002.jpg")
    people, looks = work.folder / "identity_CelebA.txt", work.folder / "list_attr_celeba.txt"
    people.write_text("000001.jpg 2880\n000002.jpg 2880\n")
    looks.write_text("1\nMale Young\n000001.jpg 1 -1\n")
    work.ingest("--kind", "faces", faces)
    known, labels = work.people(), work.labels()
    assert known == {"celeba/2880": {"000001.jpg", "000002.jpg"}}
    for file in (people, looks):
        if missing:
            file.unlink()
        else:
            file.write_text("nothing at all\n")
    for _ in range(2):
        said = work.ingest("--kind", "faces", faces).replace("\n", " ")
        assert "persons or labels of 2 files stay as stored before" in said
        assert "recognised better" not in said
        assert (work.people(), work.labels()) == (known, labels)
    with Dataset(work.database) as dataset:
        assert dataset.connection.execute("SELECT count(*) FROM identities").fetchone()[0] == 1


def test_labels_that_their_table_no_longer_states_are_removed(work: Workplace) -> None:
    sounds = tree(work.folder / "wav", "id10001/0a1B2c3D4e5/00001.wav", "id10002/0a1B2c3D4e6/00001.wav")
    table = work.folder / "vox1_meta.csv"
    table.write_text(VOX1)
    work.ingest("--kind", "voices", sounds)
    labels = work.labels()
    table.unlink()
    assert "labels of 2 files stay as stored" in work.ingest("--kind", "voices", sounds).replace("\n", " ")
    assert work.labels() == labels
    table.write_text(VOX1.replace("Ireland", "").replace("\tm\tIndia", "\tf\tIndia"))
    assert "stay as stored" not in work.ingest("--kind", "voices", sounds).replace("\n", " ")
    assert work.labels() == {
        "id10001/0a1B2c3D4e5/00001.wav": {"gender": "male"},
        "id10002/0a1B2c3D4e6/00001.wav": {"gender": "female", "nationality": "India"},
    }


def test_the_hint_names_the_kind_that_is_there(work: Workplace) -> None:
    voices = tree(work.folder / "v", "a.wav", "b.wav", "c.jpg")
    assert "v has no videos (only others, such as a.wav)." in work.ingest(voices, code=2)
    assert "For sounds add: --kind voices." in work.ingest(voices, code=2).replace("\n", " ")
    assert not work.database.exists()


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("00000.tar", "Give the tars themselves"),
        ("wav/S0002.tar.gz", "Unpack the archives."),
        ("data/train-00000-of-00002.parquet", "Save what the tables hold as files."),
        ("fadg0/video/head/001", "Files without an extension are not taken; give pictures theirs."),
    ],
)
def test_what_to_do_with_a_folder_of_others_is_said(work: Workplace, name: str, mend: str) -> None:
    root = tree(work.folder / "x", "README.md", name)
    said = work.ingest("--kind", "faces", root, code=2).replace("\n", " ")
    assert "x has no pictures (only others, such as" in said
    assert f"). {mend}" in said


def test_a_table_that_was_mended_takes_the_place_of_itself_by_whatever_path(work: Workplace) -> None:
    tree(work.folder / "calls", "ann/1.wav", "bob/1.wav")
    faces = tree(work.folder / "faces", "one/1.jpg")
    table = work.folder / "people.csv"
    table.write_text("calls,faces\nann,one\n")
    work.ingest("--kind", "voices", work.folder / "calls")
    work.ingest("--kind", "faces", "--person", "folder", faces, "--people", faces / ".." / "people.csv")
    table.write_text("calls,faces\nbob,one\n")
    work.ingest("--kind", "faces", "--person", "folder", faces, "--people", table)
    assert set(work.people()) == {"folder/calls/ann", "folder/calls/bob"}
    assert work.people()["folder/calls/bob"] == {"bob/1.wav", "one/1.jpg"}


def test_a_table_that_contradicts_another_is_refused_or_takes_its_place_if_that_is_gone(work: Workplace) -> None:
    voices = tree(work.folder / "voices", "anna/1.wav", "bob/1.wav")
    faces = tree(work.folder / "faces", "Anna_A/1.jpg", "Bob_B/1.jpg")
    wrong, right = work.folder / "wrong.csv", work.folder / "right.csv"
    wrong.write_text("voices,faces\nanna,Bob_B\nbob,Anna_A\n")
    right.write_text("voices,faces\nanna,Anna_A\nbob,Bob_B\n")
    work.ingest("--kind", "voices", voices)
    work.ingest("--kind", "faces", faces, "--people", wrong)
    mixed = {"folder/voices/anna": {"anna/1.wav", "Bob_B/1.jpg"}, "folder/voices/bob": {"bob/1.wav", "Anna_A/1.jpg"}}
    assert work.people() == mixed
    said = work.ingest("--kind", "faces", faces, "--people", right, code=2).replace("\n", " ")
    assert f"{right} contradicts {wrong}: together they make folder/faces/Anna_A and folder/faces/Bob_B one" in said
    assert work.people() == mixed, "nothing is entered"
    wrong.unlink()
    said = work.ingest("--kind", "faces", faces, "--people", right).replace("\n", " ")
    assert f"{wrong} is gone; what it said is replaced" in said
    assert work.people() == {
        "folder/voices/anna": {"anna/1.wav", "Anna_A/1.jpg"},
        "folder/voices/bob": {"bob/1.wav", "Bob_B/1.jpg"},
    }


def test_a_table_of_other_people_leaves_one_whose_file_is_gone(work: Workplace) -> None:
    voices = tree(work.folder / "voices", "anna/1.wav", "bob/1.wav")
    faces = tree(work.folder / "faces", "Anna_A/1.jpg", "Bob_B/1.jpg")
    work.ingest("--kind", "voices", voices)
    for voice, face in (("anna", "Anna_A"), ("bob", "Bob_B")):
        table = work.folder / f"{voice}.csv"
        table.write_text(f"voices,faces\n{voice},{face}\n")
        work.ingest("--kind", "faces", faces, "--people", table)
        table.unlink()
    assert set(work.people()) == {"folder/voices/anna", "folder/voices/bob"}


def test_folders_whose_names_begin_alike_are_two_columns(work: Workplace) -> None:
    tree(work.folder, "a/faces/x/1.wav", "a/calls/y/1.wav", "b/faces/p/1.wav", "b/calls/q/1.wav")
    tree(work.folder, "wav/id10001/0a1B2c3D4e5/00001.wav")
    one, two = work.folder / "one.csv", work.folder / "two.csv"
    one.write_text("voxceleb,b/faces\nid10001,p\n")
    two.write_text("voxceleb,b/calls\nid10001,q\n")
    folders = [work.folder / name for name in ("a/faces", "a/calls", "b/faces", "b/calls", "wav")]
    work.ingest("--kind", "voices", *folders, "--people", one, "--people", two)
    assert {"p/1.wav", "q/1.wav"} < work.people()["folder/b/faces/p"]


def test_one_row_may_say_that_two_names_of_a_corpus_are_one_person(work: Workplace) -> None:
    voices = tree(work.folder / "wav", "id10001/0a1B2c3D4e5/00001.wav", "id00012/0a1B2c3D4e5/00002.wav")
    one, two = work.folder / "one.csv", work.folder / "two.csv"
    one.write_text("voxceleb1,voxceleb2\nid10001,id00012\n")
    two.write_text("voxceleb1,vggface2\nid10001,n000012\n")
    work.ingest("--kind", "voices", voices, "--people", one)
    work.ingest("--kind", "voices", voices, "--people", two)
    assert len(work.people()) == 1


@pytest.mark.parametrize("first", ["all", "all/calls"])
def test_a_file_in_two_ingested_folders_is_one_file_of_one_person(work: Workplace, first: str) -> None:
    tree(work.folder, "all/calls/ann/1.wav", "all/calls/bob/1.wav", "all/more/cyd/1.wav", "allied/calls/ann/1.wav")
    second = "all" if first == "all/calls" else "all/calls"
    work.ingest("--kind", "voices", work.folder / first)
    said = work.ingest("--kind", "voices", work.folder / second)
    assert "2 left out because they were entered from another folder" in said.replace("\n", " ")
    assert sum(map(len, work.people().values())) == len(work.people()) == 3
    assert "3 files, 0 new" in work.ingest("--kind", "voices", work.folder / first) or first == "all/calls"
    assert "1 new" in work.ingest("--kind", "voices", work.folder / "allied"), "a folder beside it is another"


def test_a_manifest_that_grew_to_another_folder_enters_what_is_new(work: Workplace) -> None:
    tree(work.folder, "sound/a/1.wav", "sound/b/1.wav")
    data = tree(work.folder / "data", "wav.scp", "utt2spk")
    (data / "wav.scp").write_text(f"u1 {work.folder}/sound/a/1.wav\n")
    (data / "utt2spk").write_text("u1 ann\n")
    work.ingest("--kind", "voices", data)
    with (data / "wav.scp").open("a") as file:
        file.write(f"u2 {work.folder}/sound/b/1.wav\n")
    said = work.ingest("--kind", "voices", data)
    assert "1 new" in said
    assert "names no speaker of 1 sounds; each of them counts as a person" in said.replace("\n", " ")
    assert {person: len(files) for person, files in work.people().items()} == {
        "kaldi/data/ann": 1,
        "kaldi/data/u2": 1,
    }


def test_a_folder_without_files_does_not_stop_the_others(work: Workplace) -> None:
    one, none, two = (tree(work.folder / name, file) for name, file in (("a", "1.mp4"), ("b", "x.txt"), ("c", "2.mp4")))
    said = work.ingest(one, none, two, code=2)
    assert "b has no videos (only others, such as x.txt)." in said
    assert "The other folders were entered." in said
    said = work.ingest(none, tree(work.folder / "d", "y.txt"), one, code=2)
    assert "b has no videos" in said
    assert "d has no videos" in " ".join(said.split())
    assert {file for files in work.people().values() for file in files} == {"1.mp4", "2.mp4"}
