"""`ds2f check`: what pictures say about their origin."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE", help="a picture, or a folder of them")
    sub.add_argument("--json", action="store_true", help="print the answers as JSON, one list for all pictures")
    sub.epilog = "It never says that a picture is real: finding nothing proves nothing."


def run(options: argparse.Namespace) -> int:
    """Returns 0 if all pictures could be read, whatever was found, 1 if some could, 2 if none could."""
    import json

    from ds2f.cli.console import err, out
    from ds2f.errors import ItemError
    from ds2f.io.check import check_file

    answers: list[dict[str, Any]] = []
    refused = 0
    for path in pictures_in(options.pictures):
        try:
            checked = check_file(path)
        except ItemError as error:
            refused += 1
            answers.append({"picture": str(path), "error": error.reason})
            err.print(f"ds2f check: {path}: {error.reason}")
            continue
        answers.append({"picture": str(path), **checked.as_json()})
        if not options.json:
            out.print(f"{path}: {checked.verdict}")
            for sentence in checked.sentences():
                out.print(f"    {sentence}")
    if options.json:
        out.print(json.dumps(answers, indent=2))
    return 0 if not refused else 1 if refused < len(answers) else 2


def pictures_in(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as given; for folders, the pictures in them and their subfolders, sorted by name.

    Raises UserError for a folder without any.
    """
    from ds2f.errors import UserError
    from ds2f.io.images import IMAGE_SUFFIXES

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
        if not found:
            raise UserError(f"There is no picture in {path}; give another folder, or a file.")
        yield from found
