"""Exported shards into a database again: the same rows to learn from, in the same order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.export import export
from ds2f.dataset.imports import local_copy
from ds2f.errors import UserError
from ds2f.training.faces import load_faces
from ds2f.training.pairs import load_pairs
from people import paired_dataset


@pytest.fixture
def filled(dataset: Dataset) -> Dataset:
    """Videos of people of whom the corpus and a model say something."""
    paired_dataset(dataset, 24)
    sql = dataset.connection
    with dataset.transaction():
        sql.execute("INSERT INTO labels SELECT id, 'gender', 'female' FROM videos WHERE id % 2")
        sql.execute("INSERT INTO languages SELECT video_id, 'whisper', 'en', 0.5 FROM speech WHERE video_id % 3")
        sql.execute("INSERT INTO acoustics (video_id, f0_mean_hz) SELECT video_id, 100 + video_id FROM speech")
        sql.execute("DELETE FROM speech WHERE video_id = 4")
    return dataset


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_training_learns_the_same_from_shards(filled: Dataset, tmp_path: Path, form: str) -> None:
    pytest.importorskip("pyarrow")
    export(filled, form, tmp_path / "shards", shard_mb=1)
    path = local_copy([tmp_path / "shards"], tmp_path / "local")
    voices = ["campplus-frames", "acoustics"]
    with Dataset(path) as copy:
        ours, theirs = (load_faces(d, "train", 32, voices, ["en"]) for d in (filled, copy))
        assert torch.equal(ours.image, theirs.image)
        assert ours.conditions.keys() == theirs.conditions.keys() >= {"age", "language", "voice:acoustics"}
        for name, known in ours.conditions.items():
            assert torch.equal(known.given, theirs.conditions[name].given), name
            assert torch.equal(known.value, theirs.conditions[name].value), name
        one, other = (load_pairs(d, "train", voices, at_least=1) for d in (filled, copy))
        np.testing.assert_array_equal(one.identity, other.identity)
        np.testing.assert_array_equal(one.person, other.person)
        assert (copy.fingerprint(), copy.name()) == (filled.fingerprint(), filled.name())
        assert list(copy.labelled_faces("train"))
        assert not copy.connection.execute("PRAGMA foreign_key_check").fetchall()


def test_models_whose_names_say_nothing_of_what_they_are(filled: Dataset, tmp_path: Path) -> None:
    """Neither "age" nor "voice" nor a length is taken from a column's name."""
    sql = filled.connection
    with filled.transaction():
        sql.execute("PRAGMA defer_foreign_keys = ON")
        for table in ("clips", "voice_embeddings"):
            sql.execute(f"UPDATE {table} SET seconds = 1.1234567")  # which :g rounds
        sql.execute("UPDATE face_attributes SET model = 'language_age'")
        sql.execute("UPDATE languages SET model = 'gender'")
    export(filled, "webdataset", tmp_path / "shards")
    with Dataset(local_copy([tmp_path / "shards"], tmp_path / "local")) as copy:
        for table in ("voice_embeddings", "face_attributes", "languages"):
            ours, theirs = (
                {tuple(row)[:3] for row in d.connection.execute(f"SELECT * FROM {table} WHERE video_id <> 4")}
                for d in (filled, copy)
            )
            assert ours == theirs != set(), table


def test_a_record_that_fits_no_dataset_is_refused(filled: Dataset, tmp_path: Path) -> None:
    with filled.transaction():
        filled.connection.execute("PRAGMA ignore_check_constraints = ON")
        filled.connection.execute("UPDATE videos SET kind = 'movie' WHERE id = 5")
    export(filled, "webdataset", tmp_path / "shards")
    with pytest.raises(UserError, match=r"000000005 of .*shards does not fit a dataset .*export again"):
        local_copy([tmp_path / "shards"], tmp_path / "local")


def test_it_is_made_once(filled: Dataset, tmp_path: Path) -> None:
    export(filled, "webdataset", tmp_path / "shards")
    path = local_copy([tmp_path / "shards"], tmp_path / "local")
    made = path.stat().st_mtime_ns
    assert local_copy([tmp_path / "shards"], tmp_path / "local") == path
    assert path.stat().st_mtime_ns == made
    assert not list((tmp_path / "local").glob("*.part*"))


def test_what_is_no_export_is_a_sentence(filled: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no shards; make them with"):
        local_copy([tmp_path], tmp_path / "local")
    export(filled, "webdataset", tmp_path / "one")
    with Dataset(tmp_path / "other.db", create=True) as other:
        paired_dataset(other, 3)
        export(other, "webdataset", tmp_path / "two")
    with pytest.raises(UserError, match="of different datasets"):
        local_copy([tmp_path / "one", tmp_path / "two"], tmp_path / "local")
