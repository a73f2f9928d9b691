"""What is in the dataset, for a person and for a program."""

from __future__ import annotations

import json
from pathlib import Path

from rich.table import Table

from ds2f.cli.console import out
from ds2f.dataset import Dataset


def as_json(path: Path) -> None:
    """One JSON object on the output."""
    with Dataset(path) as dataset:
        print(
            json.dumps(
                {
                    "database": str(path),
                    "files": dataset.counts(),
                    "corpora": [
                        {"corpus": corpus, "identities": people, "files": files}
                        for corpus, people, files in dataset.corpora()
                    ],
                    "splits": {
                        split: {"identities": people, "pairs": pairs}
                        for split, (people, pairs) in dataset.splits().items()
                    },
                    "models": [
                        {"table": table, "model": model, "rows": rows} for table, model, rows in dataset.models()
                    ],
                    "failures": [
                        {"stage": stage, "reason": reason, "files": count}
                        for stage, reason, count in dataset.failure_counts()
                    ],
                    "fingerprint": dataset.fingerprint(),
                },
                indent=2,
            )
        )


def print_status(path: Path) -> None:
    """Tables: files, corpora, splits, models, failures."""
    with Dataset(path) as dataset:
        out.print(f"[bold]{path}[/]")
        table = _table("files", "done", "failed", "waiting")
        for kind, states in dataset.counts().items():
            table.add_row(
                {"video": "videos", "still": "still faces"}[kind],
                *_numbers(states["done"], states["failed"], states["new"]),
            )
        out.print(table)
        table = _table("corpus", "identities", "files")
        for corpus, people, files in dataset.corpora():
            table.add_row(corpus, *_numbers(people, files))
        out.print(table)
        table = _table("split", "identities", "voice-face pairs")
        for split, (people, pairs) in dataset.splits().items():
            table.add_row(split, *_numbers(people, pairs))
        out.print(table)
        models = dataset.models()
        if models:
            table = _table("model", "of", "rows")
            for where, model, rows in models:
                table.add_row(model, where.replace("_", " "), f"{rows:,}")
            out.print(table)
        failures = dataset.failure_counts()
        if failures:
            table = _table("why files failed", "stage", "files")
            for stage, reason, count in failures[:12]:
                table.add_row(reason, stage, f"{count:,}")
            out.print(table)
            if len(failures) > 12:
                out.print(f"... and {len(failures) - 12} rarer reasons; all of them: ds2f status --json")
        waiting = sum(states["new"] for states in dataset.counts().values())
        if waiting:
            out.print(f"{waiting:,} files wait. Next: ds2f extract")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 or column in ("of", "stage") else "right", overflow="fold")
    return table


def _numbers(*values: int) -> list[str]:
    return [f"{value:,}" for value in values]
