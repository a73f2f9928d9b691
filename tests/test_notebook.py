"""The notebook of the docs: it is one, its cells run, and they give what it shows."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text("utf-8"))
    return found


def test_it_is_a_notebook(shown: dict[str, Any]) -> None:
    nbformat.validate(nbformat.from_dict(shown), relax_add_props=False)


def test_its_cells_run_and_give_what_it_shows(shown: dict[str, Any]) -> None:
    spec = importlib.util.spec_from_file_location("run_notebook", ROOT / "scripts" / "run_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for stored, fresh in zip(shown["cells"], module.run(shown)["cells"], strict=True):
        assert _kinds(stored) == _kinds(fresh), stored["id"]
    figures = [kind for cell in shown["cells"] for kind in _kinds(cell)]
    assert figures.count("text/html") == 3, "two lists of faces and a description"
    assert figures.count("image/png") == 1


def _kinds(cell: dict[str, Any]) -> list[str]:
    """Of what a cell gives; the pictures themselves differ in their last bits from machine to machine."""
    return [kind for output in cell.get("outputs", []) for kind in sorted(output.get("data", {"stdout": ""}))]
