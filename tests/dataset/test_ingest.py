"""Files are entered, entered again, and better known when side files arrive; people of several corpora become one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest

from ds2f.corpora.tables import PeopleTable
from ds2f.dataset import Dataset
from ds2f.dataset.forget import find, forget
from ds2f.dataset.ingest import Entered, enter, people_by_kind
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.types import CorpusItem, Extracted
from helpers import PLAN, extracted, item, wanting

RULE = SplitRule()
ROOT = Path("/corpora/faces")


def local(path: str, name: str, root: Path) -> CorpusItem:
    """A file of no known layout: its person is one of this root only."""
    return CorpusItem(path, "folder", name, 1, 1, kind="still", scope=str(root))


def names(dataset: Dataset) -> list[str]:
    return [r[0] for r in dataset.connection.execute("SELECT corpus || '/' || name FROM identities ORDER BY id")]


def split_of(dataset: Dataset, corpus: str, name: str) -> str:
    query = "SELECT split FROM identities WHERE corpus = ? AND name = ?"
    return str(dataset.connection.execute(query, (corpus, name)).fetchone()[0])


def counts(entered: Entered) -> tuple[int, ...]:
    return entered.files, entered.added, entered.changed, entered.renamed


def test_new_changed_and_unchanged_files(dataset: Dataset) -> None:
    items = [item(f"{n}.jpg", f"p{n}") for n in range(3)]
    assert counts(enter(dataset, ROOT, "still", items, RULE)) == (3, 3, 0, 0)
    assert counts(enter(dataset, ROOT, "still", items, RULE)) == (3, 0, 0, 0)
    items[1] = replace(items[1], size=9)
    assert counts(enter(dataset, ROOT, "still", items[:2], RULE)) == (2, 0, 1, 0)
    paths = [r[0] for r in dataset.connection.execute("SELECT path FROM videos ORDER BY id")]
    assert paths == ["0.jpg", "2.jpg", "1.jpg"], "what vanished stays, what changed is new"


@pytest.mark.parametrize("above", [True, False])
def test_a_changed_file_is_entered_anew_by_whichever_folder_finds_it(dataset: Dataset, above: bool) -> None:
    folders = [(ROOT.parent, "faces/0.jpg"), (ROOT, "0.jpg")]
    (first, path), (second, other) = folders if above else folders[::-1]
    enter(dataset, first, "still", [item(path, "p")], RULE)
    again = enter(dataset, second, "still", [item(other, "p")], RULE)
    assert (counts(again), again.elsewhere) == ((0, 0, 0, 0), 1)
    changed = enter(dataset, second, "still", [replace(item(other, "p"), size=9)], RULE)
    assert (counts(changed), changed.elsewhere) == ((1, 0, 1, 0), 0)
    assert [tuple(r) for r in dataset.connection.execute("SELECT path, size FROM videos")] == [(other, 9)]


def test_a_side_file_that_comes_later_mends_people_and_labels(dataset: Dataset) -> None:
    known = item("000001.jpg", "000001", corpus="celeba"), item("000002.jpg", "000002", corpus="celeba")
    enter(dataset, ROOT, "still", known, RULE)
    for job in wanting(dataset):
        store(dataset, job, extracted(voice=False), PLAN)
    labels = (("gender", "female"), ("young", "yes"))
    better = [replace(known[0], identity="2880", labels=labels), replace(known[1], identity="2880")]
    assert counts(enter(dataset, ROOT, "still", better, RULE)) == (2, 0, 0, 2)
    assert names(dataset) == ["celeba/2880"], "nobody is left who has no file"
    assert dataset.connection.execute("SELECT attribute, value FROM labels").fetchall()[0][:] == ("gender", "female")
    assert dataset.connection.execute("SELECT count(*) FROM faces").fetchone()[0] == 2, "nothing extracted is lost"
    assert counts(enter(dataset, ROOT, "still", better, RULE)) == (2, 0, 0, 0)


def test_two_roots_of_one_name_are_other_people(dataset: Dataset) -> None:
    for root in (Path("/a/faces"), Path("/b/faces"), Path("/a/faces")):
        enter(dataset, root, "still", [local("Some_Person/1.jpg", "Some_Person", root)], RULE)
    assert names(dataset) == ["folder/faces/Some_Person", "folder/b/faces/Some_Person"]


def test_no_name_of_a_root_begins_with_that_of_another(dataset: Dataset) -> None:
    """Else z in b/y and y/z in b would be one person."""
    for root, person in (("/a/y", "k"), ("/b/y", "z"), ("/c/b", "y/z")):
        enter(dataset, Path(root), "sound", [local(f"{person}/1.wav", person, Path(root))], RULE)
    assert names(dataset) == ["folder/y/k", "folder/b/y/z", "folder/c/b/y/z"]


def test_roots_of_an_earlier_version_have_no_name_and_keep_their_people(dataset: Dataset) -> None:
    enter(dataset, ROOT, "still", [local("a.jpg", "a", ROOT)], RULE)
    dataset.connection.execute("UPDATE roots SET name = NULL")
    assert counts(enter(dataset, ROOT, "still", [local("a.jpg", "a", ROOT)], RULE)) == (1, 0, 0, 0)
    assert names(dataset) == ["folder/faces/a"]


TABLE = PeopleTable("/t.csv", [(("voxceleb", "id00012"), ("vggface2", "n000012"), ("hqvoxceleb", "Aaron_Ashmore"))])


def test_the_order_of_corpora_and_tables_does_not_matter(tmp_path: Path) -> None:
    files = [
        item("id00012/v/1.m4a", "id00012", corpus="voxceleb"),
        item("n000012/0001_01.jpg", "n000012", corpus="vggface2"),
        item("Aaron_Ashmore/1.jpg", "Aaron_Ashmore", corpus="hqvoxceleb"),
    ]
    for number, order in enumerate(((0, 1, 2), (2, 1, 0), (1, 0, 2))):
        for when in range(3):
            with Dataset(tmp_path / f"{number}{when}.db", create=True) as dataset:
                for step, place in enumerate(order):
                    kind = "sound" if place == 0 else "still"
                    tables = [TABLE] if step == when else []
                    last = enter(dataset, Path(f"/{place}"), kind, [files[place]], RULE, tables)
                assert last.joined.people == 1
                assert when == 2 or last.joined.moved == {}, "who is new has not been in another split"
                rows = dataset.connection.execute(
                    "SELECT count(DISTINCT coalesce(person_id, id)), count(DISTINCT split) FROM identities"
                )
                assert tuple(rows.fetchone()) == (1, 1)
                first = files[order[0]]
                assert split_of(dataset, first.corpus, first.identity) == RULE.of(first.corpus, first.identity)
                assert people_by_kind(dataset) == {"both": 1, "voice": 0, "face": 0}


def test_who_was_joined_and_who_was_left_over(dataset: Dataset) -> None:
    rows = [(("voxceleb", f"id{n}"), ("vggface", f"Person_{n}")) for n in range(4)]
    table = PeopleTable("/vox1_meta.csv", rows)
    enter(dataset, Path("/wav"), "sound", [item(f"{n}.wav", f"id{n}", corpus="voxceleb") for n in (0, 1, 2)], RULE)
    stills = [item(f"{n}.jpg", f"Person_{n}", corpus="vggface") for n in (0, 1)]
    entered = enter(
        dataset, Path("/faces"), "still", [*stills, item("x.jpg", "person_2", corpus="vggface")], RULE, [table]
    )
    (use,) = entered.joined.tables
    assert (use.source, use.joined, use.single, use.absent) == ("/vox1_meta.csv", 2, 1, 1), "person_2 is not Person_2"
    assert people_by_kind(dataset) == {"both": 2, "voice": 1, "face": 1}


def test_a_split_that_was_fixed_first_is_kept_and_the_move_is_told(dataset: Dataset) -> None:
    """Two identities that were in two splits when a table comes to say that they are one person."""
    found = {RULE.of("voxceleb", f"id{n}"): n for n in range(50)}
    n = found["test"]
    name = next(f"Person_{k}" for k in range(50) if RULE.of("vggface", f"Person_{k}") == "train")
    enter(dataset, Path("/wav"), "sound", [item("1.wav", f"id{n}", corpus="voxceleb")], RULE)
    enter(dataset, Path("/faces"), "still", [item("1.jpg", name, corpus="vggface")], RULE)
    table = PeopleTable("/t.csv", [(("voxceleb", f"id{n}"), ("vggface", name))])
    entered = enter(dataset, Path("/faces"), "still", [item("1.jpg", name, corpus="vggface")], RULE, [table])
    assert entered.joined.moved == {("train", "test"): 1}
    assert split_of(dataset, "vggface", name) == "test"
    again = enter(dataset, Path("/faces"), "still", [item("1.jpg", name, corpus="vggface")], RULE)
    assert again.joined.moved == {}
    assert again.joined.people == 1, "the table is remembered"


def test_a_table_that_is_mended_parts_whom_it_joined(dataset: Dataset) -> None:
    files = [item("1.wav", "id1", corpus="voxceleb"), item("1.jpg", "A_B", corpus="vggface")]
    enter(dataset, ROOT, "still", files, RULE, [PeopleTable("/t.csv", [(("voxceleb", "id1"), ("vggface", "A_B"))])])
    entered = enter(
        dataset, ROOT, "still", files, RULE, [PeopleTable("/t.csv", [(("voxceleb", "id1"), ("vggface", "C_D"))])]
    )
    assert entered.joined.people == 0


def test_of_a_clip_that_is_there_as_video_the_sound_is_not_entered(dataset: Dataset) -> None:
    sound = CorpusItem("aac/id00012/0a1B2c3D4e5/00001.m4a", "voxceleb", "id00012", 1, 1, kind="sound")
    other = replace(sound, path="aac/id00012/0a1B2c3D4e5/00002.m4a")
    video = CorpusItem("id00012/0a1B2c3D4e5/00001.mp4", "voxceleb", "id00012", 1, 1, kind="video")
    entered = enter(dataset, Path("/dev"), "sound", [sound, other], RULE)
    assert (entered.added, entered.doubled) == (2, 0)
    entered = enter(dataset, Path("/mp4"), "video", [video], RULE)
    assert (entered.added, entered.doubled) == (1, 1), "the video has the sound, too"
    entered = enter(dataset, Path("/dev"), "sound", [sound, other], RULE)
    assert (entered.added, entered.doubled) == (0, 1)
    paths = [r[0] for r in dataset.connection.execute("SELECT path FROM videos ORDER BY path")]
    assert paths == [other.path, video.path]
    store(
        dataset,
        next(j for j in wanting(dataset) if j.kind == "video"),
        Extracted(failures=(("audio", "a video without sound"),)),
        PLAN,
    )
    entered = enter(dataset, Path("/dev"), "sound", [sound, other], RULE)
    assert (entered.added, entered.doubled) == (1, 0), "a video without sound does not stand for one"


def test_an_extracted_sound_stays_until_its_video_has_speech(dataset: Dataset) -> None:
    """VoxCeleb2 as published: its mp4 are without sound."""
    sound = CorpusItem("id00012/0a1B2c3D4e5/00001.m4a", "voxceleb", "id00012", 1, 1, kind="sound")
    video = CorpusItem("id00012/0a1B2c3D4e5/00001.mp4", "voxceleb", "id00012", 1, 1, kind="video")
    enter(dataset, Path("/mp4"), "video", [video], RULE)
    store(dataset, wanting(dataset)[0], Extracted(failures=(("audio", "a video without sound"),)), PLAN)
    enter(dataset, Path("/aac"), "sound", [sound], RULE)
    store(dataset, next(j for j in wanting(dataset) if j.kind == "sound"), replace(extracted(), face=None), PLAN)

    def kinds() -> list[str]:
        rows = dataset.connection.execute(
            "SELECT v.kind FROM videos v JOIN speech s ON s.video_id = v.id ORDER BY v.id"
        )
        return [row[0] for row in rows]

    assert kinds() == ["sound"]
    assert enter(dataset, Path("/mp4"), "video", [video], RULE).doubled == 0
    assert kinds() == ["sound"], "the video is silent"
    video = replace(video, size=9)
    assert enter(dataset, Path("/mp4"), "video", [video], RULE).doubled == 0
    assert kinds() == ["sound"], "nobody knows yet whether the changed video has sound"
    store(dataset, next(j for j in wanting(dataset) if j.kind == "video"), extracted(), PLAN)
    assert enter(dataset, Path("/mp4"), "video", [video], RULE).doubled == 1
    assert kinds() == ["video"]


@pytest.mark.parametrize("asked", ["voxceleb/id00012", "n000012", "hqvoxceleb/Aaron_Ashmore"])
def test_a_person_is_forgotten_in_all_corpora(dataset: Dataset, tmp_path: Path, asked: str) -> None:
    files = [
        item("id00012/v/1.m4a", "id00012", corpus="voxceleb"),
        item("n000012/0001_01.jpg", "n000012", corpus="vggface2"),
        item("somebody.jpg", "else", corpus="lfw"),
    ]
    hq = item("Aaron_Ashmore/1.jpg", "Aaron_Ashmore", corpus="hqvoxceleb")
    enter(dataset, tmp_path, "still", [*files, *([hq] if "hq" in asked else [])], RULE, [TABLE])
    person = find(dataset, asked)
    assert person is not None
    forget(dataset, person, tmp_path / "faces")
    assert names(dataset) == ["lfw/else"]
    assert dataset.connection.execute("SELECT count(*) FROM known_as").fetchone()[0] == 0
    entered = enter(dataset, tmp_path, "still", [*files, hq], RULE, [TABLE])
    assert entered.forgotten == 3, "by every name that a table gave them, in corpora that were not there yet, too"
    assert names(dataset) == ["lfw/else"]
    assert find(dataset, asked) is None


def test_ingesting_again_takes_no_longer_than_the_first_time(dataset: Dataset) -> None:
    """It compared each file with everybody in its corpus: 3,000 people took 14 s, and time grew with their square."""
    items = [local(f"{number}.jpg", str(number), ROOT) for number in range(3000)]
    enter(dataset, ROOT, "still", items, RULE)
    start = perf_counter()
    assert enter(dataset, ROOT, "still", items, RULE).added == 0
    assert perf_counter() - start < 4
