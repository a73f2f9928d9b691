"""What evaluation asks the dataset: recordings, people, and above all what leaks from train into test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.clips import clip_facts, crops_of_people, face_encoders, faces_of_people, leaks, recording_of
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.types import CorpusItem
from helpers import PLAN, extracted, item, wanting

ALL_TRAIN, ALL_TEST = SplitRule(val=0, test=0), SplitRule(val=0, test=1)


@pytest.mark.parametrize(
    ("corpus", "path", "recording"),
    [
        ("voxceleb", "id00017/5MkXgwdrmJw/00001.mp4", "5MkXgwdrmJw"),
        ("avspeech", "5MkXgwdrmJw_24.76-29.96.mp4", "5MkXgwdrmJw"),
        ("folder", "moving/5MkXgwdrmJw_106_.mp4", "5MkXgwdrmJw"),
        ("folder", "moving/5MkXgwdrmJw.mp4", "5MkXgwdrmJw"),
        ("folder", "clip_000001_a.mp4", "folder/clip_000001_a.mp4"),
        ("folder", "5MkXgwdrmJwAndMore.mp4", "folder/5MkXgwdrmJwAndMore.mp4"),
    ],
)
def test_the_video_that_a_clip_was_cut_from(corpus: str, path: str, recording: str) -> None:
    assert recording_of(corpus, path) == recording


def split_of(dataset: Dataset, train: list[CorpusItem], test: list[CorpusItem]) -> None:
    """Put people where a test wants them, as an older ingest under another rule might have."""
    dataset.add_items(Path("videos"), "video", [*train, *test], ALL_TRAIN)
    for entry in test:
        dataset.connection.execute(
            "UPDATE identities SET split = 'test' WHERE corpus = ? AND name = ?", (entry.corpus, entry.identity)
        )


def test_nothing_leaks_where_nothing_is_shared(dataset: Dataset) -> None:
    split_of(dataset, [item("a.mp4", "a"), item("id1.mp4", "id00017", corpus="x")], [item("b.mp4", "b")])
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number), PLAN)
    assert leaks(dataset, "test") == []
    assert leaks(dataset, "train") == []


def test_a_person_of_two_corpora_leaks_but_a_number_does_not(dataset: Dataset) -> None:
    train = [item("1.mp4", "Grace_Hopper", corpus="lfw"), item("2.mp4", "id00017", corpus="lfw")]
    test = [item("3.mp4", "grace hopper", corpus="voxceleb"), item("4.mp4", "id00017", corpus="voxceleb")]
    split_of(dataset, train, test)
    assert leaks(dataset, "test") == ["1 people of test are also in train: grace hopper"]


def test_a_name_of_eleven_letters_is_no_video_that_leaks(dataset: Dataset) -> None:
    """LFW has several people of one first name, and YouTube's ids look like Christopher, too."""
    train, test = (
        item("A/Christopher_Lee_0001.jpg", "A", corpus="lfw"),
        item("B/Christopher_Li_0001.jpg", "B", corpus="lfw"),
    )
    split_of(dataset, [replace(train, kind="still")], [replace(test, kind="still")])
    assert leaks(dataset, "test") == []
    frames = [f"{n}/1.6/0a1B2c3D4e5/0000025.jpg" for n in "CD"]
    split_of(dataset, *([replace(item(path, path[0], corpus="voxceleb"), kind="still")] for path in frames))
    assert leaks(dataset, "test") == ["1 videos of test are also in train: 0a1B2c3D4e5"], "frames of one video do"


def test_a_video_of_two_splits_leaks(dataset: Dataset) -> None:
    split_of(dataset, [item("5MkXgwdrmJw_106_.mp4", "x")], [item("5MkXgwdrmJw_109_.mp4", "y")])
    assert leaks(dataset, "test") == ["1 videos of test are also in train: 5MkXgwdrmJw"]
    assert leaks(dataset, "val") == []


def test_a_file_under_two_names_leaks(dataset: Dataset) -> None:
    names = ["a.mp4", "copy.mp4", "other.mp4", "likewise.mp4"]
    entries = [item(name, name, size) for name, size in zip(names, (7, 7, 7, 8), strict=True)]
    split_of(dataset, entries[:1], entries[1:])
    same, other = extracted(0), extracted(1)
    likewise = replace(other, voices=same.voices)  # the same vector, but of another size
    for job, result in zip(wanting(dataset), (same, same, other, likewise), strict=True):
        store(dataset, job, result, PLAN)
    assert leaks(dataset, "test") == ["1 files of test are also in train: copy.mp4 = a.mp4"]


def test_facts_and_faces_of_people(dataset: Dataset) -> None:
    labelled = replace(item("a.mp4", "p"), labels=(("gender", "female"), ("language", "fr")))
    dataset.add_items(Path("videos"), "video", [labelled, item("b.mp4", "q")], ALL_TEST)
    stills = [item("p1.png", "p"), item("p2.png", "p"), item("r.png", "r")]
    dataset.add_items(Path("stills"), "still", stills, ALL_TEST)
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number, voice=job.kind == "video"), PLAN)
    first = next(v for v in dataset.pairs("test") if v.path == "a.mp4")
    dataset.connection.execute(
        "INSERT INTO languages SELECT id, 'm', 'de', 0.9 FROM videos WHERE path IN ('a.mp4', 'b.mp4')"
    )
    facts = clip_facts(dataset, "test")
    assert len(facts) == 2
    assert facts[first.video_id].labels["gender"] == "female"
    assert sorted(f.language for f in facts.values()) == ["de", "fr"]  # what the corpus states goes first
    faces = faces_of_people(dataset, "test", "dlib")
    assert {person: len(vectors) for person, vectors in faces.items()} == {"folder/p": 3, "folder/q": 1}
    assert any(np.array_equal(vector, first.identity) for vector in faces["folder/p"])
    assert face_encoders(dataset) == ["dlib"]


def test_faces_and_crops_are_of_people_whatever_their_corpora_call_them(dataset: Dataset, tmp_path: Path) -> None:
    items = [item("id7/1.mp4", "id7", corpus="voxceleb"), item("n9/1.mp4", "n9", corpus="vggface2")]
    dataset.add_items(tmp_path, "video", items, SplitRule(val=0, test=0))
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number), PLAN)
    dataset.connection.execute("UPDATE identities SET person_id = 1 WHERE id = 2")
    assert {name: len(found) for name, found in crops_of_people(dataset, "train").items()} == {"voxceleb/id7": 2}
    assert {name: len(found) for name, found in faces_of_people(dataset, "train", "dlib").items()} == {
        "voxceleb/id7": 2
    }
    assert {pair.person for pair in dataset.pairs("train")} == {"voxceleb/id7"}
