"""Voices and faces put together by person: a video's own, a sound's of any file of its person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.pairing import Shown, clips, faces_by_person, next_face, paired
from ds2f.dataset.queries import SplitRule
from ds2f.dataset.store import store
from ds2f.training.pairs import load_pairs
from helpers import PLAN, extracted, item, wanting

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
