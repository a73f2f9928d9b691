from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.dataset import Dataset, queries
from ds2f.dataset.plan import retry
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.extract.worker import failure
from ds2f.io.images import decode_image
from ds2f.types import CorpusItem
from helpers import PLAN, extracted, item, wanting

ROOT = Path("/videos")


def _count(dataset: Dataset, table: str) -> int:
    return int(dataset.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# ── ingest ────────────────────────────────────────────────────────────────────────────────────────


def test_ingest_twice_adds_nothing(dataset: Dataset) -> None:
    items = [item("a.mp4"), item("b/c.mp4", "other")]
    assert dataset.add_items(ROOT, "video", items, SplitRule()) == (2, 0)
    assert dataset.add_items(ROOT, "video", items, SplitRule()) == (0, 0)
    assert dataset.counts()["video"] == {"new": 2, "done": 0, "failed": 0}


def test_a_new_file_is_added_to_the_known_ones(dataset: Dataset) -> None:
    dataset.add_items(ROOT, "video", [item("a.mp4")], SplitRule())
    assert dataset.add_items(ROOT, "video", [item("a.mp4"), item("b.mp4")], SplitRule()) == (1, 0)


@pytest.mark.parametrize("change", [{"size": 2}, {"mtime_ns": 2}])
def test_a_changed_file_becomes_new_and_loses_its_rows(dataset: Dataset, change: dict[str, int]) -> None:
    dataset.add_items(ROOT, "video", [item("a.mp4"), item("b.mp4")], SplitRule())
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number), PLAN)
    assert dataset.add_items(ROOT, "video", [item("a.mp4", **change), item("b.mp4")], SplitRule()) == (0, 1)
    assert dataset.counts()["video"] == {"new": 1, "done": 1, "failed": 0}
    for table in ("faces", "clips", "face_embeddings", "voice_embeddings"):
        assert _count(dataset, table) == 1


def test_same_path_under_two_roots_is_two_files(dataset: Dataset) -> None:
    assert dataset.add_items(Path("/one"), "video", [item("a.mp4")], SplitRule()) == (1, 0)
    assert dataset.add_items(Path("/two"), "video", [item("a.mp4")], SplitRule()) == (1, 0)
    assert [job.source.path for job in wanting(dataset)] == [Path("/one/a.mp4"), Path("/two/a.mp4")]


def test_labels_of_the_corpus_are_kept(dataset: Dataset) -> None:
    labelled = replace(item("a.jpg"), labels=(("age", "31"), ("gender", "female")))
    dataset.add_items(ROOT, "still", [labelled], SplitRule())
    rows = dataset.connection.execute("SELECT attribute, value FROM labels ORDER BY 1").fetchall()
    assert [tuple(row) for row in rows] == [("age", "31"), ("gender", "female")]


def test_a_failed_ingest_leaves_nothing(dataset: Dataset) -> None:
    def items():  # type: ignore[no-untyped-def]
        yield item("a.mp4")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset.add_items(ROOT, "video", items(), SplitRule())
    assert _count(dataset, "videos") == _count(dataset, "roots") == _count(dataset, "identities") == 0


# ── splits ────────────────────────────────────────────────────────────────────────────────────────


def test_split_is_by_identity(dataset: Dataset) -> None:
    items = [item(f"{person}/{number}.mp4", person) for person in map(str, range(40)) for number in range(3)]
    dataset.add_items(ROOT, "video", items, SplitRule())
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number), PLAN)
    splits: dict[str, set[str]] = {}
    for pair in dataset.pairs():
        splits.setdefault(pair.person, set()).add(pair.split)
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())


def test_split_shares_and_stability() -> None:
    names = [f"person-{number}" for number in range(5000)]
    shares = Counter(SplitRule().of("folder", name) for name in names)
    assert shares["train"] / 5000 == pytest.approx(0.8, abs=0.02)
    assert shares["val"] / 5000 == pytest.approx(0.1, abs=0.015)
    assert shares["test"] / 5000 == pytest.approx(0.1, abs=0.015)
    assert [SplitRule().of("folder", name) for name in names[:9]] == [
        SplitRule().of("folder", name) for name in names[:9]
    ]
    assert any(SplitRule().of("folder", name) != SplitRule(seed=1).of("folder", name) for name in names)


def test_the_first_ingest_fixes_the_split(tmp_path: Path) -> None:
    def splits(dataset: Dataset) -> set[str]:
        return {row[0] for row in dataset.connection.execute("SELECT split FROM identities")}

    def people(first: int) -> list[CorpusItem]:
        return [CorpusItem(f"{i}.mp4", "folder", str(i), 1, 1) for i in range(first, first + 20)]

    with Dataset(tmp_path / "d.db", create=True) as dataset:
        dataset.add_items(tmp_path, "video", people(0), SplitRule(val=0.0, test=1.0))
        assert splits(dataset) == {"test"}
    with Dataset(tmp_path / "d.db") as dataset:
        dataset.add_items(tmp_path, "video", people(100), SplitRule(val=0.0, test=0.0))
        assert splits(dataset) == {"test"}


def test_a_growing_corpus_moves_nobody(dataset: Dataset) -> None:
    def splits() -> dict[str, str]:
        return dict(dataset.connection.execute("SELECT name, split FROM identities").fetchall())

    dataset.add_items(ROOT, "video", [item(f"{k}.mp4", str(k)) for k in range(20)], SplitRule())
    before = splits()
    dataset.add_items(ROOT, "video", [item(f"{k}.mp4", str(k)) for k in range(60)], SplitRule())
    after = splits()
    assert len(after) == 60
    assert before.items() <= after.items()


# ── store ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_stored_comes_back(dataset: Dataset) -> None:
    dataset.add_items(ROOT, "video", [item("a.mp4", "ada")], SplitRule())
    result = extracted()
    store(dataset, wanting(dataset)[0], result, PLAN)
    (pair,) = dataset.pairs()
    assert (pair.path, pair.corpus, pair.person) == ("a.mp4", "folder", "folder/ada")
    assert result.face is not None
    np.testing.assert_array_equal(pair.voice, result.voices[6.0, "campplus-frames"])
    np.testing.assert_array_equal(pair.identity, result.face.identity)
    assert decode_image(pair.crop).shape == (32, 32, 3)
    assert wanting(dataset) == []
    taken = dataset.connection.execute(
        "SELECT v.stream, s.stream, s.channels FROM videos v JOIN speech s ON video_id = id"
    )
    assert tuple(taken.fetchone()) == (0, 1, "mean of 2")
    (face,) = dataset.faces()
    assert face.coverage == 1.0
    assert dataset.pairs(split=next(s for s in queries.SPLITS if s != pair.split)) == []


def test_a_still_has_a_face_but_is_no_pair(dataset: Dataset) -> None:
    dataset.add_items(ROOT, "still", [item("a.jpg")], SplitRule())
    store(dataset, wanting(dataset)[0], extracted(voice=False), PLAN)
    assert dataset.pairs() == []
    assert len(list(dataset.faces())) == 1


def test_storing_again_replaces(dataset: Dataset) -> None:
    dataset.add_items(ROOT, "video", [item("a.mp4")], SplitRule())
    (job,) = wanting(dataset)
    store(dataset, job, failure("face", "no face found"), PLAN)
    store(dataset, job, extracted(0), PLAN)
    store(dataset, job, extracted(1), PLAN)
    assert _count(dataset, "faces") == _count(dataset, "clips") == 1
    assert _count(dataset, "failures") == 0
    face = extracted(1).face
    assert face is not None
    np.testing.assert_array_equal(dataset.pairs()[0].identity, face.identity)


def test_store_is_all_or_nothing(dataset: Dataset) -> None:
    dataset.add_items(ROOT, "video", [item("a.mp4")], SplitRule())
    (job,) = wanting(dataset)
    broken = replace(extracted(), voices={(12.0, "campplus-frames"): np.zeros(256, np.float32)})  # of a clip it has not
    with pytest.raises(sqlite3.IntegrityError):
        store(dataset, job, broken, PLAN)
    assert _count(dataset, "faces") == _count(dataset, "face_embeddings") == _count(dataset, "clips") == 0
    assert dataset.counts()["video"]["new"] == 1


def test_failures_are_rows_with_reasons(dataset: Dataset) -> None:
    dataset.add_items(ROOT, "video", [item(f"{k}.mp4") for k in range(3)], SplitRule())
    first, second, third = wanting(dataset)
    store(dataset, first, failure("face", "no face found"), PLAN)
    store(dataset, second, failure("face", "no face found"), PLAN)
    store(dataset, third, failure("open", "the file is empty (zero bytes)"), PLAN)
    assert dataset.failures(first.video_id) == {"face": "no face found"}
    assert next(iter(dataset.failure_counts())) == ("face", "no face found", 2)
    assert dataset.counts()["video"] == {"new": 0, "done": 0, "failed": 3}
    assert wanting(dataset) == []
    with dataset.connection as connection:
        reasons = [f"a format that ds2f does not read: M3U, {size}.5 bytes" for size in (7, 8)]
        connection.executemany("UPDATE failures SET reason = ? WHERE video_id = ?", zip(reasons, (1, 2), strict=True))
    assert dataset.failure_counts()[0] == ("face", "a format that ds2f does not read: M3U, … bytes", 2)
    retry(dataset, PLAN)
    assert len(wanting(dataset)) == 3


def _store_and_die(path: Path) -> None:
    dataset = Dataset(path)
    first, second = wanting(dataset)
    store(dataset, first, extracted(), PLAN)
    with dataset.transaction():
        dataset.connection.execute("UPDATE videos SET state = 'done' WHERE id = ?", (second.video_id,))
        os.kill(os.getpid(), signal.SIGKILL)


def test_kill_in_mid_transaction_loses_only_that_item(tmp_path: Path) -> None:
    path = tmp_path / "dataset.db"
    with Dataset(path, create=True) as dataset:
        dataset.add_items(ROOT, "video", [item("a.mp4"), item("b.mp4")], SplitRule())
    process = multiprocessing.get_context("fork").Process(target=_store_and_die, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with Dataset(path) as dataset:
        assert dataset.counts()["video"] == {"new": 1, "done": 1, "failed": 0}
        assert len(dataset.pairs()) == 1
        assert dataset.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


# ── opening ───────────────────────────────────────────────────────────────────────────────────────


def test_missing_database_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ds2f ingest"):
        Dataset(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_is_not_sqlite_is_refused_and_untouched(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear Sir or Madam, this is not a database at all.")
    with pytest.raises(UserError, match="not an SQLite file"):
        Dataset(path, create=create)
    assert path.read_text().startswith("Dear Sir")


@pytest.mark.parametrize("create", [False, True])
def test_a_foreign_sqlite_file_is_refused_and_untouched(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "foreign.db"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE bookmarks (url TEXT)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(UserError, match="not a ds2f dataset"):
        Dataset(path, create=create)
    assert path.read_bytes() == before


def test_another_schema_version_is_refused(dataset: Dataset) -> None:
    dataset.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="version 99"):
        Dataset(dataset.path)


def test_damage_behind_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)
    with pytest.raises(UserError, match="damaged"):
        Dataset(path)


def test_fingerprint_tells_datasets_apart(dataset: Dataset) -> None:
    empty = dataset.fingerprint()
    dataset.add_items(ROOT, "video", [item("a.mp4")], SplitRule())
    assert dataset.fingerprint() != empty
    assert dataset.fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE videos SET identity_id = (SELECT id FROM identities WHERE name = 'Bea') WHERE path LIKE 'a%'",
        "UPDATE identities SET person_id = (SELECT id FROM identities WHERE name = 'Bea') WHERE name = 'Ada'",
        "UPDATE identities SET split = 'test' WHERE name = 'Ada'",
        "UPDATE videos SET size = 1 + size WHERE path LIKE 'a%'",
        "UPDATE videos SET state = 'failed' WHERE path LIKE 'a%'",
        "INSERT INTO labels SELECT id, 'gender', 'female' FROM videos WHERE path LIKE 'a%'",
    ],
)
def test_the_fingerprint_is_another_once_whose_files_they_are_changes(dataset: Dataset, change: str) -> None:
    files = [item("a.mp4", "Ada"), item("b.mp4", "Bea")]
    dataset.add_items(ROOT, "video", files, SplitRule(val=0, test=0))
    before = dataset.fingerprint()
    assert dataset.connection.execute(change).rowcount == 1
    assert dataset.fingerprint() != before


def test_the_fingerprint_does_not_depend_on_the_order_of_ingest(tmp_path: Path) -> None:
    """Where two roots have one path, and its files different splits."""
    found = set()
    for order in ("ab", "ba"):
        with Dataset(tmp_path / f"{order}.db", create=True) as dataset:
            for root in order:
                dataset.add_items(tmp_path / root, "video", [item("1.mp4", root)], SplitRule(val=0, test=0))
            dataset.connection.execute("UPDATE identities SET split = 'test' WHERE name = 'a'")
            found.add(dataset.fingerprint())
    assert len(found) == 1
