"""The table of what can be trained: everybody who names the models reads it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from ds2f.cli import main
from ds2f.config import Train
from ds2f.training.jobs import JOBS


@pytest.mark.parametrize("name", JOBS)
def test_every_row_has_a_file_with_a_job_and_is_documented(name: str) -> None:
    found = inspect.signature(import_module(f"ds2f.training.{JOBS[name].file}").job)
    assert list(found.parameters) == ["database", "runs", "settings", "sample", "progress"]
    assert f"ds2f train {name}" in Path("docs/training.md").read_text()


def test_the_configuration_and_the_command_know_the_same_models(capsys: pytest.CaptureFixture[str]) -> None:
    known = get_args(get_type_hints(Train)["models"])[0]
    assert get_args(known) == tuple(JOBS)
    with pytest.raises(SystemExit):
        main(["train", "voise"])
    said = capsys.readouterr().err
    assert all(name in said for name in JOBS)


def test_the_table_itself_is_light() -> None:
    code = "import sys, ds2f.training.jobs; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
