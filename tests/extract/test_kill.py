from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from damage import SAMPLES
from kill import differences, torture

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


def test_a_killed_extraction_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    result = torture(sorted(SAMPLES.glob("*.mp4"))[:5], tmp_path, kills=2, workers=1, seed=13)
    assert result.kills == 2
    assert result.orphans == 0
    assert result.differences == []
    other = tmp_path / "disturbed-0.db"
    with closing(sqlite3.connect(other)) as sql, sql:
        sql.execute("DELETE FROM voice_embeddings WHERE video_id = 1")
        sql.execute("UPDATE videos SET state = 'new' WHERE path = '001-person-2.mp4'")
    found = differences(tmp_path / "undisturbed.db", other)
    assert len(found) == 2, "the comparison itself can see"
