"""People over several corpora: their voices and their faces, beside one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.corpora.tables import PeopleTable
from ds2f.dataset import Dataset
from ds2f.dataset.clips import faces_of_people, leaks
from ds2f.dataset.ingest import enter
from ds2f.dataset.people import count_people, face_vectors, read_people, voice_vectors
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.types import CorpusItem, Extracted
from helpers import PLAN, extracted, wanting

VOX = {("voxceleb", "id10001"): "A.J._Buckley", ("voxceleb", "id10002"): "A.R._Rahman"}
TABLE = PeopleTable("/t.csv", [(id, ("vggface", name)) for id, name in VOX.items()])


def sound(person: str, video: str, number: int) -> CorpusItem:
    return CorpusItem(f"{person}/{video}/{number:05d}.wav", "voxceleb", person, 1, 1, kind="sound")


def still(name: str, number: int) -> CorpusItem:
    return CorpusItem(f"{name}/{number:08d}.jpg", "vggface", name, 1, 1, kind="still")


@pytest.fixture
def two_corpora(dataset: Dataset) -> Dataset:
    """id10001 has three voices of two videos, and two faces; id10002 has a voice; somebody else has a face."""
    sounds = [sound("id10001", "0a1B2c3D4e5", n) for n in (1, 2)] + [sound("id10001", "1a1B2c3D4e5", 1)]
    enter(dataset, Path("/wav"), "sound", [*sounds, sound("id10002", "2a1B2c3D4e5", 1)], SplitRule())
    faces = [still("A.J._Buckley", n) for n in (1, 2)] + [still("Somebody_Else", 1)]
    enter(dataset, Path("/faces"), "still", faces, SplitRule(), [TABLE])
    for number, job in enumerate(wanting(dataset)):
        made = extracted(number, voice=job.kind == "sound")
        store(dataset, job, replace(made, face=None) if job.kind == "sound" else made, PLAN)
    return dataset


def test_a_sound_is_asked_for_its_voice_only_and_a_picture_for_its_face(dataset: Dataset) -> None:
    enter(dataset, Path("/r"), "sound", [sound("id10001", "0a1B2c3D4e5", 1), still("A_B", 1)], SplitRule())
    first, second = wanting(dataset)
    assert (first.kind, first.needs.speech, first.needs.face) == ("sound", True, False)
    assert (second.kind, second.needs.speech, second.needs.face) == ("still", False, True)
    store(dataset, first, replace(extracted(), face=None), PLAN)
    assert [job.kind for job in wanting(dataset)] == ["still"], "a sound without a face lacks nothing"


def test_voices_and_faces_of_a_person_come_from_both_corpora(two_corpora: Dataset) -> None:
    people = read_people(two_corpora)
    assert people.names == ("voxceleb/id10001", "voxceleb/id10002", "vggface/Somebody_Else")
    assert people.voices.person.tolist() == [0, 0, 0, 1]
    assert people.faces.person.tolist() == [0, 0, 2]
    assert people.voices.file.tolist() == [1, 2, 3, 4]
    first, second, third, other = people.voices.recording.tolist()
    assert first == second
    assert len({first, third, other}) == 3
    both = people.both()
    assert both.names == ("voxceleb/id10001",)
    assert (len(both.voices), len(both.faces)) == (3, 2), "as many rows as there are, and not six"
    turned = people.chosen([2, 0])
    assert turned.names == ("vggface/Somebody_Else", "voxceleb/id10001")
    assert turned.voices.person.tolist() == [1, 1, 1]
    assert turned.faces.file.tolist() == [7, 5, 6]


def test_vectors_are_read_in_the_order_asked(two_corpora: Dataset) -> None:
    rows = two_corpora.connection.execute("SELECT video_id, vector FROM voice_embeddings").fetchall()
    wanted = {r[0]: np.frombuffer(r[1], np.float32) for r in rows}
    found = voice_vectors(two_corpora, [3, 1, 3], "campplus-frames", 6.0)
    np.testing.assert_array_equal(found, np.stack([wanted[3], wanted[1], wanted[3]]))
    assert face_vectors(two_corpora, [6]).shape == (1, 128)
    with pytest.raises(UserError, match="File 1 of the dataset has no vector of 'dlib'"):
        face_vectors(two_corpora, [1])


def test_people_are_counted_by_what_they_have(two_corpora: Dataset) -> None:
    total = {has: sum(of[has] for of in count_people(two_corpora).values()) for has in ("both", "voice", "face")}
    assert total == {"both": 1, "voice": 1, "face": 1}


def test_a_video_gives_both_and_what_failed_counts_for_nothing(dataset: Dataset) -> None:
    items = [CorpusItem(f"{n}.mp4", "folder", f"{n}", 1, 1, kind="video") for n in range(3)]
    enter(dataset, Path("/v"), "video", items, SplitRule(val=0, test=0))
    first, second, third = wanting(dataset)
    store(dataset, first, extracted(), PLAN)
    store(dataset, second, Extracted(failures=(("open", "the file is empty"),)), PLAN)
    assert count_people(dataset)["train"] == {"both": 1, "voice": 0, "face": 0}
    assert third.kind == "video"


def test_a_joined_person_is_one_in_evaluation_and_in_one_split(two_corpora: Dataset) -> None:
    sql = two_corpora.connection
    splits = dict(sql.execute("SELECT corpus || '/' || name, split FROM identities").fetchall())
    assert splits["voxceleb/id10001"] == splits["vggface/A.J._Buckley"] == SplitRule().of("voxceleb", "id10001")
    faces = faces_of_people(two_corpora, splits["voxceleb/id10001"], "dlib")
    assert faces["voxceleb/id10001"].shape == (2, 128), "pictures of another corpus are faces of the person who speaks"
    sql.execute("UPDATE identities SET split = 'train'")
    sql.execute("UPDATE identities SET split = 'test' WHERE corpus = 'vggface' AND name = 'A.J._Buckley'")
    assert leaks(two_corpora, "test") == ["1 people of test are also in train: voxceleb/id10001"]
