from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ds2f.cli import main
from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from helpers import item


def test_the_demo_goes_the_whole_way(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ds2f", "demo", "--out", "out", "--workers", "1"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert made.returncode == 0, made.stderr
    assert "contact-sheet.png" in made.stdout
    with Image.open(tmp_path / "out" / "contact-sheet.png") as sheet:
        assert sheet.width > 600
    metrics = json.loads((tmp_path / "out" / "report" / "metrics.json").read_text())
    ours = next(method for method in metrics["methods"] if method["name"] == "ds2f")
    assert ours["missing"] == 0
    assert len(metrics["clips"]) >= 6
    assert "<html" in (tmp_path / "out" / "report" / "report.html").read_text()


def test_samples_that_lie_elsewhere_are_not_entered_a_second_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Dataset(tmp_path / "dataset.db", create=True) as data:
        data.add_items(Path("/elsewhere/samples"), "video", [item("person-1.mp4")], SplitRule())
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "is of the sample clips in /elsewhere/samples" in " ".join(capsys.readouterr().err.split())
