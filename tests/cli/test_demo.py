from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image


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
