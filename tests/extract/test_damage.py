from __future__ import annotations

from pathlib import Path

from damage import SAMPLES, run
from damaging import DAMAGES, make_files


def test_damaged_files_neither_crash_nor_hang_and_say_why(tmp_path: Path) -> None:
    make_files(sorted(SAMPLES.glob("*.mp4")), tmp_path / "damaged", count=2 * len(DAMAGES))
    result = run(tmp_path / "damaged", tmp_path / "dataset.db", workers=1)
    assert result.files == 2 * len(DAMAGES)
    assert result.faults == 0, result.reasons
    assert result.worked["wrong suffix"] == (2, 2)
    assert result.worked["two in one"] == (2, 2)
    for hopeless in ("zero bytes", "only zeros", "garbage", "text", "truncated header"):
        assert result.worked[hopeless] == (0, 2)
