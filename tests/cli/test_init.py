from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ds2f.cli import main


def test_init_writes_a_configuration_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert "[paths]" in (tmp_path / "ds2f.toml").read_text()
    assert "exists already" in refused("init")
