"""The arrows between the rooms (docs/architecture.md; the contracts are in pyproject.toml), and what loads no torch."""

from __future__ import annotations

import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from ds2f.demo import samples

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def test_the_arrows_between_the_rooms_run_one_way() -> None:
    """In a process of its own: import-linter sets up logging anew, and silences all loggers that there are."""
    call = f"lint_imports({str(PYPROJECT)!r}, no_cache=True)"
    code = f"import sys; from importlinter.cli import lint_imports; sys.exit({call})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_imports_one_that_imports_it() -> None:
    """Imports inside of functions count, those for type checkers alone do not. Raises CycleError with the circle."""
    graph = grimp.build_graph("ds2f", cache_dir=None, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert set(TopologicalSorter(imports).static_order()) == graph.modules


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import ds2f"],
        ["-m", "ds2f", "--help"],
        ["-m", "ds2f", "ingest", str(samples())],
        ["-m", "ds2f", "download", "voxceleb1", "--out", ".", "--accept-terms"],
    ],
    ids=["import", "help", "ingest", "download"],
)
def test_what_needs_no_torch_loads_none(command: list[str], tmp_path: Path) -> None:
    run = [sys.executable, "-X", "importtime", *command]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "ds2f" in loaded
    assert "torch" not in loaded
