"""The command line as a user meets it: real files, one sentence for every mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ds2f.cli import main


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that refuses, and returns its one sentence; fails on a traceback or another exit code than 2."""

    def run(*arguments: str | Path) -> str:
        code = main([str(a) for a in arguments])
        said = capsys.readouterr().err.strip()
        assert code == 2, said
        assert "Traceback" not in said
        last = said.splitlines()[-1]
        assert last.startswith("ds2f ")
        return last

    return run
