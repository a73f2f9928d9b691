from __future__ import annotations

from pathlib import Path

import pytest

from ds2f.cli import main
from ds2f.demo import samples
from helpers import silence, write_audio


def test_describe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice, nothing = samples() / "person-5.mp4", write_audio(tmp_path / "nothing.wav", silence(2))
    assert main(["describe", str(voice), str(nothing)]) == 1
    said = capsys.readouterr()
    assert str(voice) in said.out
    assert "gender      male" in said.out
    assert "80 % between" in said.out
    assert "nothing.wav: silence" in said.err
    assert main(["describe", str(nothing)]) == 2
