from __future__ import annotations

from pathlib import Path

from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from helpers import item


def test_a_vector_takes_little_more_than_its_numbers(dataset: Dataset, tmp_path: Path) -> None:
    dataset.add_items(tmp_path, "video", [item(f"{n}.mp4") for n in range(300)], SplitRule())
    sql = dataset.connection
    sql.execute("INSERT INTO speech SELECT id, 0, 1, 0, '1 of 1' FROM videos")
    sql.execute("INSERT INTO clips SELECT id, 6, 1, 6 FROM videos")
    before = sql.execute("PRAGMA page_count").fetchone()[0]
    sql.execute("INSERT INTO voice_embeddings SELECT id, 6, 'campplus-frames', zeroblob(1024) FROM videos")
    grown = (sql.execute("PRAGMA page_count").fetchone()[0] - before) * 4096 / 300
    assert 1024 < grown < 1.6 * 1024
