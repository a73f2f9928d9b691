"""docs/data.md: its SQL runs and answers as it says, and it leaves no table or column out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.types import Attributes, CorpusItem, Extracted, Language
from helpers import PLAN, extracted, wanting

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
ASKED = re.findall(r"```sql\n(.*?)```\n+Answer: (.*?);", TEXT, re.DOTALL)


@pytest.fixture
def answering(dataset: Dataset, tmp_path: Path) -> Dataset:
    """Three pairs and a damaged file, described by every kind of model."""
    items = [CorpusItem(f"{n}.mp4", "voxceleb", f"id{n // 2}", 1, 1, None, (("gender", "male"),)) for n in range(4)]
    dataset.add_items(tmp_path, "video", items, SplitRule(val=0.0, test=0.0))
    gender = {"male": 0.02, "female": 0.98}
    seen = Attributes(33.5, {"30-39": 1.0}, gender, {"Indian": 1.0})
    for number, job in enumerate(wanting(dataset)):
        result = replace(
            extracted(number),
            attributes={"ds2f-attributes": seen},
            languages={"whisper/tiny": Language("hi", 0.9)},
        )
        store(dataset, job, result if number else Extracted(failures=(("open", "the file is empty"),)), PLAN)
    return dataset


def test_there_are_ten_questions() -> None:
    assert len(re.findall(r"^\*\*\d+\. ", TEXT, re.MULTILINE)) == 10
    assert len(ASKED) == TEXT.count("```sql"), "every query says the shape of its answer"


@pytest.mark.parametrize(("query", "shape"), ASKED, ids=range(1, len(ASKED) + 1))
def test_sql_answers_in_the_shape_it_says(answering: Dataset, query: str, shape: str) -> None:
    cursor = answering.connection.execute(query)
    assert [column[0] for column in cursor.description] == re.findall(r"`(\w+)`", shape)
    rows = cursor.fetchall()
    assert rows
    assert all(value is not None for value in rows[0])


def test_answers_are_right(answering: Dataset) -> None:
    first = [tuple(answering.connection.execute(query).fetchone()) for query, _ in ASKED]
    assert first[0] == ("voxceleb", 4, 3)
    assert first[1] == ("open", "the file is empty", 1)
    assert first[2][0].endswith("/0.mp4")
    assert first[3] == ("train", 2, 3, round(12 / 3600, 3))
    assert first[4] == ("voxceleb", "id1", 2, 0.1)
    assert first[5] == ("hi", 3, 0.9)
    assert first[6] == (30, "female", 3)
    assert first[7] == ("1.mp4", "male", "female", 0.98)
    assert first[8] == (6.0, 3, 3, 4.0)
    assert first[9][:3] == ("voxceleb", "id0", "1.mp4")


def test_every_table_and_column_is_told(dataset: Dataset) -> None:
    told = set(re.findall(r"`(\w+)`", TEXT))
    sql = dataset.connection
    for (table,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
        columns = {row[1] for row in sql.execute(f"PRAGMA table_info({table})")}
        missing = {table} - told if table == "acoustics" else ({table} | columns) - told - {"video_id"}
        assert not missing, f"docs/data.md does not tell of {missing} in {table}"
