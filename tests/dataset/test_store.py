"""An answer is stored for the very file that was asked, or not at all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.forget import find, forget
from ds2f.dataset.plan import job, waiting
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.extract.worker import failure
from ds2f.types import CorpusItem
from helpers import PLAN, extracted, item, wanting


def _count(dataset: Dataset, table: str) -> int:
    return int(dataset.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_the_answer_for_a_forgotten_person_is_given_to_nobody_else(dataset: Dataset, tmp_path: Path) -> None:
    dataset.add_items(tmp_path, "video", [item("a.mp4", "anna")], SplitRule())
    (asked,) = wanting(dataset)
    person = find(dataset, "anna")
    assert person is not None
    forget(dataset, person, tmp_path / "faces")
    dataset.add_items(tmp_path, "video", [item("b.mp4", "bert")], SplitRule())
    store(dataset, asked, extracted(), PLAN)
    assert dataset.counts()["video"] == {"new": 1, "done": 0, "failed": 0}
    assert _count(dataset, "faces") == _count(dataset, "speech") == 0


def test_the_answer_for_a_file_that_was_ingested_anew_meanwhile_is_not_stored(dataset: Dataset, tmp_path: Path) -> None:
    dataset.add_items(tmp_path, "video", [item("a.mp4")], SplitRule())
    (asked,) = wanting(dataset)
    dataset.add_items(tmp_path, "video", [item("a.mp4", size=2)], SplitRule())
    store(dataset, asked, extracted(), PLAN)
    assert dataset.counts()["video"] == {"new": 1, "done": 0, "failed": 0}


@pytest.mark.parametrize("other", [{"path": "b.mp4"}, {"size": 2}, {"mtime_ns": 2}])
def test_a_number_alone_proves_nothing(dataset: Dataset, tmp_path: Path, other: dict[str, str | int]) -> None:
    """As in databases of before numbers were given once."""
    dataset.add_items(tmp_path, "video", [item("a.mp4")], SplitRule())
    (asked,) = wanting(dataset)
    ((column, value),) = other.items()
    dataset.connection.execute(f"UPDATE videos SET {column} = ?", (value,))
    assert not store(dataset, asked, extracted(), PLAN)
    assert _count(dataset, "faces") == 0


def test_an_entry_that_is_gone_when_its_turn_comes_is_no_job(dataset: Dataset, tmp_path: Path) -> None:
    dataset.add_items(tmp_path, "video", [item("a.mp4")], SplitRule())
    (video_id,) = waiting(dataset, PLAN)
    dataset.connection.execute("DELETE FROM videos")
    assert job(dataset, video_id, PLAN) is None


def _ingested(dataset: Dataset, file: Path, data: bytes, offset: int | None = None) -> None:
    file.write_bytes(data)
    os.utime(file, ns=(7, 7))
    root, path = (file.parent, file.name) if offset is None else (file, "somebody/1.jpg")
    dataset.add_items(
        root, "video", [CorpusItem(path, "folder", "somebody", len(data), file.stat().st_mtime_ns, offset)], SplitRule()
    )


@pytest.mark.parametrize("offset", [None, 512])
def test_what_another_file_gave_is_not_stored(dataset: Dataset, tmp_path: Path, offset: int | None) -> None:
    """A file, or a tar, that was written anew since: who lies there now is not who was ingested."""
    file = tmp_path / "a.mp4"
    _ingested(dataset, file, b"anna", offset)
    file.write_bytes(b"bert")
    (asked,) = wanting(dataset)
    store(dataset, asked, extracted(), PLAN)
    assert _count(dataset, "faces") == _count(dataset, "speech") == 0
    assert "run ds2f ingest again" in dataset.failures(asked.video_id)["open"]
    assert waiting(dataset, PLAN) == [], "it is not asked again and again"
    _ingested(dataset, file, b"bert!", offset)
    (asked,) = wanting(dataset)
    store(dataset, asked, extracted(), PLAN)
    assert dataset.counts()["video"] == {"new": 0, "done": 1, "failed": 0}


def test_a_file_that_did_not_change_or_cannot_be_seen_from_here_is_stored(dataset: Dataset, tmp_path: Path) -> None:
    _ingested(dataset, tmp_path / "a.mp4", b"anna")
    dataset.add_items(tmp_path / "of another machine", "video", [item("b.mp4")], SplitRule())
    for asked in wanting(dataset):
        store(dataset, asked, extracted(), PLAN)
    assert dataset.counts()["video"] == {"new": 0, "done": 2, "failed": 0}


def test_a_file_that_cannot_be_read_any_more_keeps_what_it_gave(dataset: Dataset, tmp_path: Path) -> None:
    """As all files of a drive that is not mounted, when the settings have changed."""
    dataset.add_items(tmp_path, "video", [item("a.mp4"), item("b.mp4")], SplitRule())
    asked, other = wanting(dataset)
    store(dataset, asked, extracted(), PLAN)
    store(dataset, other, failure("open", "the file does not exist"), PLAN)
    assert waiting(dataset, PLAN) == [], "it gave nothing, and is not asked again"
    vectors = dataset.connection.execute("SELECT vector FROM voice_embeddings").fetchall()
    plan = replace(PLAN, speech='{"min_speech": 2}', face='{"frames": 9}')
    asked = next(job for job in wanting(dataset, plan) if job.video_id == asked.video_id)
    assert (asked.needs.speech, asked.needs.face) == (True, True)
    store(dataset, asked, failure("open", "the file does not exist"), plan)
    assert dataset.connection.execute("SELECT vector FROM voice_embeddings").fetchall() == vectors
    assert dataset.failures(asked.video_id) == {"open": "the file does not exist"}
    assert asked.video_id in waiting(dataset, plan), "until it is there again"
    store(dataset, asked, extracted(5), plan)
    assert dataset.failures(asked.video_id) == {}
    assert asked.video_id not in waiting(dataset, plan)
    assert dataset.connection.execute("SELECT vector FROM voice_embeddings").fetchall() != vectors
