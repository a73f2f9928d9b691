"""A function that takes much says what: with more than four parameters, one of them a line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ds2f"
ROOMS = (".", *sorted(path.parent.name for path in SOURCE.glob("*/__init__.py")))  # "." is what lies beside them
MANY = 4


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Public ones of a module and of its public classes, `__init__` and `__call__` among them; not their overloads."""
    tree = ast.parse(path.read_text())
    kinds = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for node in (node for scope in (tree, *kinds) for node in scope.body):
        if not isinstance(node, ast.FunctionDef) or "overload" in {getattr(d, "id", "") for d in node.decorator_list}:
            continue
        if not node.name.startswith("_") or node.name in ("__init__", "__call__"):
            yield node


def test_rooms_and_functions_are_found() -> None:
    assert {".", "cli", "config", "io", "speech2face"} <= set(ROOMS)
    assert sum(1 for path in SOURCE.rglob("*.py") for _ in functions(path)) > 500


@pytest.mark.parametrize("room", ROOMS)
def test_a_function_with_many_parameters_lists_them(room: str) -> None:
    for path in SOURCE.glob("*.py") if room == "." else (SOURCE / room).rglob("*.py"):
        for function in functions(path):
            given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            names = [a.arg for a in given if a.arg not in ("self", "cls")]
            if len(names) > MANY:
                lines = re.findall(r"^\s*(\w+(?:, \w+)*):", ast.get_docstring(function) or "", re.MULTILINE)
                said = {name for line in lines for name in line.split(", ")}
                assert set(names) <= said, f"{path.name}: {function.name} does not say {set(names) - said}"
