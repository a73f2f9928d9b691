"""A summary of the dataset's contents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ds2f.dataset.people import count_people
from ds2f.dataset.queries import Dataset


def names(path: Path) -> list[str]:
    """Everybody in the dataset as "corpus/name", sorted. Raises UserError if there is no dataset."""
    with Dataset(path) as dataset:
        return [row[0] for row in dataset.connection.execute("SELECT corpus || '/' || name FROM identities ORDER BY 1")]


def status(path: Path, fingerprint: bool = True) -> dict[str, Any]:
    """What `ds2f status --json` prints. fingerprint: whether to compute it, which takes seconds for millions of files.

    Raises UserError if there is no dataset.
    """
    with Dataset(path) as dataset:
        return {
            "database": str(path),
            "files": dataset.counts(),
            "corpora": [
                {"corpus": corpus, "identities": people, "files": files} for corpus, people, files in dataset.corpora()
            ],
            "splits": {
                split: {"identities": people, "pairs": pairs} for split, (people, pairs) in dataset.splits().items()
            },
            "people": count_people(dataset),
            "models": [{"table": table, "model": model, "rows": rows} for table, model, rows in dataset.models()],
            "failures": [
                {"stage": stage, "reason": reason, "files": count} for stage, reason, count in dataset.failure_counts()
            ],
            **({"fingerprint": dataset.fingerprint()} if fingerprint else {}),
        }
