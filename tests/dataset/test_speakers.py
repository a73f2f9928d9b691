from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ds2f.corpora.tables import PeopleTable
from ds2f.dataset import Dataset
from ds2f.dataset.ingest import enter
from ds2f.dataset.speakers import speaker_hash, speakers_of
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.types import CorpusItem
from helpers import PLAN, extracted, wanting


def test_a_hash_stands_for_one_name_of_one_corpus() -> None:
    assert speaker_hash("voxceleb", "id10001") == speaker_hash("voxceleb", "id10001")
    assert speaker_hash("voxceleb", "id10001") != speaker_hash("voxceleb", "id10002")
    assert speaker_hash("voxceleb", "1034") != speaker_hash("librispeech", "1034")
    assert "id10001" not in speaker_hash("voxceleb", "id10001")


def test_folders_go_by_their_last_name_wherever_the_root_was_and_are_marked_as_a_hint() -> None:
    assert speaker_hash("folder", "speech/ravdess/24") == speaker_hash("folder", "24")
    assert speaker_hash("folder", "24").startswith("~")


def test_all_names_of_whoever_has_a_voice_are_there_and_nobody_else(dataset: Dataset) -> None:
    sounds = [CorpusItem(f"{p}/0a1B2c3D4e5/00001.wav", "voxceleb", p, 1, 1, kind="sound") for p in ("id1", "id2")]
    enter(dataset, Path("/wav"), "sound", sounds, SplitRule(val=0, test=0))
    table = PeopleTable("/t.csv", [(("voxceleb", "id1"), ("vggface", "A_B"))])
    faces = [CorpusItem(f"{p}/1.jpg", "vggface", p, 1, 1, kind="still") for p in ("A_B", "C_D")]
    enter(dataset, Path("/faces"), "still", faces, SplitRule(val=0, test=0), [table])
    for number, job in enumerate(wanting(dataset)):
        made = extracted(number, voice=job.kind == "sound")
        store(dataset, job, replace(made, face=None) if job.kind == "sound" else made, PLAN)
    names = [("voxceleb", "id1"), ("voxceleb", "id2"), ("vggface", "A_B")]
    assert speakers_of(dataset, "train") == sorted(speaker_hash(*name) for name in names)
    assert speakers_of(dataset, "test") == []
