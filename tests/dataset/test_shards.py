from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.corpora.tables import PeopleTable
from ds2f.dataset import Dataset
from ds2f.dataset.clips import stated
from ds2f.dataset.forget import find, forget
from ds2f.dataset.ingest import enter
from ds2f.dataset.plan import Shard, retry, waiting
from ds2f.dataset.shards import Merged, merge, split_off
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.extract.worker import failure
from ds2f.types import Extracted
from helpers import PLAN, extracted, item, wanting

ROOT = Path("/videos")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    with Dataset(tmp_path / "dataset.db", create=True) as dataset:
        dataset.add_items(ROOT, "video", [item(f"{k}.mp4", str(k)) for k in range(9)], SplitRule())
    return tmp_path / "dataset.db"


def _work(path: Path, refuse: str = "none") -> None:
    with Dataset(path) as dataset:
        for job in wanting(dataset):
            refused = job.source.path.name == refuse
            store(dataset, job, failure("face", "no face found") if refused else extracted(job.video_id), PLAN)


def _rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    tables = ("videos", "speech", "clips", "voice_embeddings", "faces", "crops", "face_embeddings", "failures")
    with Dataset(path) as dataset:
        return {t: [tuple(r) for r in dataset.connection.execute(f"SELECT * FROM {t} ORDER BY 1, 2")] for t in tables}


def test_shards_merged_are_the_same_as_one_run(whole: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.db"
    with Dataset(whole) as dataset:
        dataset.connection.execute("VACUUM INTO ?", (str(alone),))
    _work(alone, refuse="4.mp4")

    shards = [split_off(whole, Shard(index, 2), PLAN) for index in (1, 2)]
    for shard in shards:
        _work(shard, refuse="4.mp4")
    assert merge(whole, shards) == Merged(9, 0)
    assert _rows(whole) == _rows(alone)
    assert merge(whole, shards) == Merged(0, 0), "merging twice changes nothing"
    assert _rows(whole) == _rows(alone)


def test_a_shard_keeps_what_it_did_and_takes_what_is_new(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 2), PLAN)
    _work(shard)
    before = _rows(shard)
    with Dataset(whole) as dataset:
        dataset.add_items(ROOT, "video", [item(f"{k}.mp4", str(k)) for k in range(12)], SplitRule())
    assert split_off(whole, Shard(1, 2), PLAN) == shard
    with Dataset(shard) as dataset:
        assert len(waiting(dataset, PLAN)) in (1, 2)
    assert _rows(shard)["faces"] == before["faces"]


def test_merging_again_keeps_what_the_whole_has_found_since(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 1), PLAN)
    _work(shard, refuse="4.mp4")
    assert merge(whole, [shard]) == Merged(9, 0)
    more = replace(PLAN, voices=(*PLAN.voices, (6.0, "newer")))
    newer = {(6.0, "newer"): np.ones(4, np.float32)}
    with Dataset(whole) as dataset:
        retry(dataset, more)
        for job in wanting(dataset, more):
            new = extracted(job.video_id) if job.needs.face else Extracted()
            store(dataset, job, replace(new, voices=new.voices | newer), more)
        assert dataset.counts()["video"] == {"new": 0, "done": 9, "failed": 0}
    after = _rows(whole)
    assert merge(whole, [shard]) == Merged(0, 0)
    assert _rows(whole) == after


def test_merging_again_takes_what_a_shard_has_found_since(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 1), PLAN)
    with Dataset(shard) as dataset:
        store(dataset, wanting(dataset)[0], extracted(), PLAN)
    assert merge(whole, [shard]) == Merged(1, 0)
    _work(shard)
    assert merge(whole, [shard]) == Merged(9, 0)
    with Dataset(whole) as dataset:
        assert waiting(dataset, PLAN) == []


def test_a_shard_half_done_is_merged_half(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 1), PLAN)
    with Dataset(shard) as dataset:
        for job in wanting(dataset)[:4]:
            store(dataset, job, extracted(), PLAN)
    assert merge(whole, [shard]) == Merged(4, 0)
    with Dataset(whole) as dataset:
        assert len(waiting(dataset, PLAN)) == 5


def test_a_file_that_changed_since_is_left_out(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 1), PLAN)
    _work(shard)
    with Dataset(whole) as dataset:
        changed = [item("0.mp4", "0", size=2), *(item(f"{k}.mp4", str(k)) for k in range(1, 9))]
        assert dataset.add_items(ROOT, "video", changed, SplitRule()) == (0, 1)
    assert merge(whole, [shard]) == Merged(8, 1)
    with Dataset(whole) as dataset:
        assert len(waiting(dataset, PLAN)) == 1


def test_a_shard_that_is_there_drops_who_was_forgotten_and_takes_what_changed(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 1), PLAN)
    _work(shard)
    with Dataset(whole) as dataset:
        person = find(dataset, "8")
        assert person is not None
        forget(dataset, person, whole.parent / "faces")
        items = [item("0.mp4", "0", size=2), *(item(f"{k}.mp4", str(k)) for k in range(1, 8)), item("9.mp4", "9")]
        assert dataset.add_items(ROOT, "video", items, SplitRule()) == (1, 1)
    assert split_off(whole, Shard(1, 1), PLAN) == shard
    with Dataset(shard) as dataset:
        assert {r[0] for r in dataset.connection.execute("SELECT name FROM identities")} == set("012345679")
        assert sorted(job.source.path.name for job in wanting(dataset)) == ["0.mp4", "9.mp4"]
    _work(shard)
    assert merge(whole, [shard]) == Merged(9, 0)


def test_labels_that_were_added_since_stay(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 1), PLAN)
    _work(shard)
    with Dataset(whole) as dataset:
        labelled = [replace(item(f"{k}.mp4", str(k)), labels=(("gender", "female"),)) for k in range(9)]
        assert dataset.add_items(ROOT, "video", labelled, SplitRule()) == (0, 0)
    assert merge(whole, [shard]) == Merged(9, 0)
    with Dataset(whole) as dataset:
        assert stated(dataset, range(1, 10)) == [{"gender": "female"}] * 9


def test_a_shard_that_is_there_learns_who_was_renamed_and_joined(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 1), PLAN)
    _work(shard)
    with Dataset(whole) as dataset:
        # Afterwards 8 is nobody's name in this folder, and 7 is back under another number.
        dataset.add_items(ROOT, "video", [item("8.mp4", "Grace"), item("7.mp4", "Ada")], SplitRule())
        dataset.add_items(ROOT, "video", [item("8.mp4", "7"), item("0.mp4", "8", corpus="lfw")], SplitRule())
        same = PeopleTable("same.csv", [(("folder", "1"), ("folder", "2"), ("lfw", "8"))])
        enter(dataset, ROOT, "video", [item("9.mp4", "9")], SplitRule(), [same])
    assert split_off(whole, Shard(1, 1), PLAN) == shard
    assert _people(shard) == _people(whole)
    with Dataset(shard) as dataset:
        assert [job.source.path.name for job in wanting(dataset)] == ["9.mp4"]


def _people(path: Path) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    with Dataset(path) as dataset:
        people = dataset.connection.execute("SELECT * FROM identities ORDER BY id").fetchall()
        shown = dataset.connection.execute("SELECT id, path, identity_id FROM videos ORDER BY id").fetchall()
    return [tuple(r) for r in people], [tuple(r) for r in shown]


def test_a_row_of_the_same_number_under_another_root_is_another_file(whole: Path) -> None:
    shard = split_off(whole, Shard(1, 1), PLAN)
    _work(shard)
    with Dataset(whole) as dataset:
        dataset.connection.execute("UPDATE roots SET path = '/elsewhere'")
    assert merge(whole, [shard]) == Merged(0, 9)
    with Dataset(whole) as dataset:
        dataset.connection.execute("UPDATE roots SET path = ?", (str(ROOT),))
    assert merge(whole, [shard]) == Merged(9, 0), "it is back"


def test_failed_files_can_be_tried_again_in_a_shard(whole: Path) -> None:
    _work(whole, refuse="3.mp4")
    with Dataset(split_off(whole, Shard(1, 1), PLAN)) as dataset:
        assert dataset.counts()["video"] == {"new": 0, "done": 0, "failed": 0}
    with Dataset(split_off(whole, Shard(1, 1), PLAN, retry_failed=True)) as dataset:
        assert dataset.counts()["video"] == {"new": 0, "done": 0, "failed": 1}


def test_a_foreign_shard_is_refused(whole: Path, tmp_path: Path) -> None:
    with Dataset(tmp_path / "other.db", create=True) as other:
        other.add_items(ROOT, "video", [item("0.mp4", "0")], SplitRule())
    shard = split_off(tmp_path / "other.db", Shard(1, 1), PLAN)
    for path in (shard, tmp_path / "other.db"):
        with pytest.raises(UserError, match="not a shard of"):
            merge(whole, [path])
