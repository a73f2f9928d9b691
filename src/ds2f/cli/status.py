"""`ds2f status`: what is in the dataset, as tables or as JSON."""

from __future__ import annotations

import argparse
from typing import Any

from ds2f.cli.arguments import add_config, add_database, config_of, database_of, named

KINDS = {"video": "videos", "sound": "sounds", "still": "still faces"}
REASONS_SHOWN = 12


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    add_database(sub)
    sub.add_argument("--json", action="store_true", help="as JSON, for programs")
    sub.add_argument("--names", action="store_true", help="only the people in it, as corpus/name, one per line")


def run(options: argparse.Namespace) -> None:
    import json

    from ds2f.dataset.status import names, status

    config = config_of(options)
    database = database_of(options, config)
    if options.names:
        print(*names(database), sep="\n")
        return
    found = status(database, fingerprint=options.json)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print_status(found, named(database, config))


def print_status(found: dict[str, Any], words: str) -> None:
    """Print tables: files, corpora, splits, models, failures. found: as `dataset.status.status` returns it; words: by
    which other commands find the dataset."""
    from ds2f.cli.console import columns, out

    out.print(str(found["database"]), style="bold")
    table = columns("files", "done", "failed", "waiting")
    for kind, states in found["files"].items():
        if any(states.values()):
            table.add_row(KINDS[kind], *_numbers(states["done"], states["failed"], states["new"]))
    out.print(table)
    table = columns("corpus", "identities", "files")
    for corpus in found["corpora"]:
        table.add_row(corpus["corpus"], *_numbers(corpus["identities"], corpus["files"]))
    out.print(table)
    table = columns("split", "people", "voice and face", "voice only", "face only", "files with both")
    for split, of in found["splits"].items():
        people = found["people"][split]
        table.add_row(
            split, *_numbers(of["identities"], *(people[has] for has in ("both", "voice", "face")), of["pairs"])
        )
    out.print(table)
    if found["models"]:
        table = columns("model", "of", "rows", left=("of",))
        for model in found["models"]:
            table.add_row(model["model"], model["table"].replace("_", " "), *_numbers(model["rows"]))
        out.print(table)
    failures = found["failures"]
    if failures:
        table = columns("why files failed", "stage", "files", left=("stage",))
        for failure in failures[:REASONS_SHOWN]:
            table.add_row(failure["reason"], failure["stage"], *_numbers(failure["files"]))
        out.print(table)
        if len(failures) > REASONS_SHOWN:
            rarer = len(failures) - REASONS_SHOWN
            out.print(f"... and {rarer} rarer reasons; all of them: ds2f status --json{words}")
    waiting = sum(states["new"] for states in found["files"].values())
    if waiting:
        out.print(f"{waiting:,} files waiting. Next: ds2f extract{words}")


def _numbers(*values: int) -> list[str]:
    return [f"{value:,}" for value in values]
