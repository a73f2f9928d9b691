from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def test_verify_refuses_what_cannot_work(tmp_path: Path, refused: Callable[..., str]) -> None:
    trials, out = tmp_path / "trials.txt", tmp_path / "out"
    assert "cannot be read" in refused("verify", trials)
    trials.write_text("1 a.wav b.wav\n0 a.wav c.wav\n")
    assert "no speaker encoder 'ecapa'" in refused("verify", trials, "--encoder", "ecapa", "--out", out)
    said = refused("verify", trials, "--root", tmp_path, "--out", out)
    assert "Too few recordings can be used: 3 were refused" in said
