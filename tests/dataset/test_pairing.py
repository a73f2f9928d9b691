"""Voices and faces put together by person: a video's own, a sound's of any file of its person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.cli import main
from ds2f.dataset import Dataset
from ds2f.dataset.pairing import Shown, clips, faces_by_person, next_face, paired
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.training.pairs import load_pairs
from helpers import PLAN, extracted, item, wanting
from stand_in import PEOPLE

FILES = {
    "video": ["anna/1.mp4", "anna/2.mp4", "cleo/1.mp4"],
    "sound": ["ben/1.wav", "ben/2.wav", "ben/3.wav", "ben/4.wav", "dora/1.wav"],
    "still": ["ben/a.jpg", "ben/b.jpg", "cleo/a.jpg", "emil/a.jpg"],
}


@pytest.fixture
def people(dataset: Dataset) -> Dataset:
    """Anna has videos; Ben sounds and pictures; Cleo a video and a picture; Dora no face, Emil no voice."""
    for kind, paths in FILES.items():
        items = [item(path, path.split("/")[0]) for path in paths]
        dataset.add_items(Path(f"/{kind}"), kind, items, SplitRule(0, 0.0, 0.0))
    for number, job in enumerate(wanting(dataset)):
        made = extracted(number, voice=job.kind != "still")
        store(dataset, job, replace(made, face=None) if job.kind == "sound" else made, PLAN)
    return dataset


def test_every_voice_has_a_face_of_its_person(people: Dataset) -> None:
    pairs = paired(people, "train")
    path_of = dict(people.connection.execute("SELECT id, path FROM videos").fetchall())
    assert [(pair.path, path_of[pair.face_file]) for pair in pairs] == [
        ("anna/1.mp4", "anna/1.mp4"),
        ("anna/2.mp4", "anna/2.mp4"),
        ("ben/1.wav", "ben/a.jpg"),
        ("ben/2.wav", "ben/b.jpg"),
        ("ben/3.wav", "ben/a.jpg"),
        ("ben/4.wav", "ben/b.jpg"),
        ("cleo/1.mp4", "cleo/1.mp4"),
    ]
    ben = pairs[2]
    vector = people.connection.execute(
        "SELECT vector FROM face_embeddings WHERE video_id = ? AND encoder = 'dlib'", (ben.face_file,)
    ).fetchone()[0]
    assert ben.identity.tobytes() == vector
    assert (ben.person.rpartition("/")[2], ben.picture) == ("ben", "ben/1")


def test_a_dataset_of_videos_is_paired_as_ever(dataset: Dataset) -> None:
    dataset.add_items(Path("/v"), "video", [item(f"{i % 3}/{i}.mp4", str(i % 3)) for i in range(9)], SplitRule())
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number), PLAN)
    for split in (None, "train"):
        before, now = dataset.pairs(split), paired(dataset, split)
        assert [(p.video_id, p.face_id, p.voice.tobytes(), p.identity.tobytes()) for p in before] == [
            (p.video_id, p.face_id, p.voice.tobytes(), p.identity.tobytes()) for p in now
        ]
    data = load_pairs(dataset, "train", at_least=1)
    assert data.faces is None
    assert data.sample() is data
    np.testing.assert_array_equal(data.identity, [pair.identity for pair in dataset.pairs("train")])


def test_faces_are_drawn_for_all_voices_that_there_are(people: Dataset) -> None:
    found = [clip.path for clip in clips(people, None, "campplus-frames", 6.0)]
    assert found == [*FILES["video"][:2], *FILES["sound"][:4], FILES["video"][2], FILES["sound"][4]]


def test_faces_of_people_with_voices(people: Dataset) -> None:
    shown = {person[-4:]: [face.path for face in faces] for person, faces in
             faces_by_person(people, "train", ["dlib"]).items()}  # fmt: skip
    assert shown == {
        "anna": ["anna/1.mp4", "anna/2.mp4"],
        "/ben": ["ben/a.jpg", "ben/b.jpg"],
        "cleo": ["cleo/1.mp4", "cleo/a.jpg"],
    }
    assert faces_by_person(people, "train", ["dlib", "another"]) == {}


def test_the_next_face_is_of_another_recording_where_there_is_one() -> None:
    faces = [Shown(0, "", "v"), Shown(1, "", "v"), Shown(2, "", "w")]
    assert [next_face(faces, at, "v") for at in (-1, 0, 2)] == [2, 2, 2]
    assert [next_face(faces, at, "x") for at in (-1, 0, 2)] == [0, 1, 0]
    assert next_face(faces[:2], 0, "v") == 1


def test_voxceleb1s_sound_by_number_finds_its_faces_by_name(tmp_path: Path) -> None:
    """The corpus as it is published: sound under numbers, faces under names, and vox1_meta.csv to tell who is who."""
    root, database = tmp_path / "vox1", tmp_path / "dataset.db"
    for person in PEOPLE[:3]:
        for take in (1, 2):
            for file in (f"wav/{person.voxceleb1}/{person.video(take)}/00001.wav",
                         f"unzippedFaces/{person.name}/1.6/{person.video(take)}/0000025.jpg"):  # fmt: skip
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).touch()
    rows = "".join(f"{person.voxceleb1}\t{person.name}\tm\tNowhere\tdev\n" for person in PEOPLE[:3])
    (root / "vox1_meta.csv").write_text("VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n" + rows)
    for kind, folder in (("voices", "wav"), ("faces", "unzippedFaces")):
        assert main(["ingest", "--kind", kind, str(root / folder), "--database", str(database)]) == 0
    with Dataset(database) as dataset:
        for number, job in enumerate(wanting(dataset)):
            made = extracted(number, voice=job.kind != "still")
            store(dataset, job, replace(made, face=None) if job.kind == "sound" else made, PLAN)
        pairs = paired(dataset)
        face_of = dict(dataset.connection.execute("SELECT id, path FROM videos").fetchall())
        data = [load_pairs(dataset, split, at_least=0) for split in {pair.split for pair in pairs}]
    assert len(pairs) == 6
    assert sum(map(len, data)) == 6
    for pair in pairs:
        number, video, _ = pair.path.split("/")[-3:]
        name, _, shown, _ = face_of[pair.face_file].split("/")[-4:]
        assert int(number.removeprefix("id1")) == int(name.rpartition("_")[2])  # the person's own face
        assert video != shown  # of another video than the voice
