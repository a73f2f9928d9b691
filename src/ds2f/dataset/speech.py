"""The stored speech itself, for training on sound."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from ds2f.dataset import schema
from ds2f.dataset.queries import Dataset


@dataclass(frozen=True)
class SpeechFile:
    """A recording's speech. file: its number; person: number of the speaker, unique across all corpora; size: bytes
    stored."""

    file: int
    person: int
    size: int


def spoken_files(dataset: Dataset, split: str) -> list[SpeechFile]:
    """All speech of a split, in the fixed order of its paths."""
    rows = dataset.connection.execute(
        f"SELECT v.id, {schema.PERSON} AS person, length(a.sound) AS size FROM speech_audio a"
        " JOIN videos v ON v.id = a.video_id JOIN identities i ON i.id = v.identity_id WHERE i.split = ?"
        " ORDER BY v.path, v.id",
        (split,),
    )
    return [SpeechFile(row["id"], row["person"], row["size"]) for row in rows]


class Sounds:
    """Reads speech as it is stored. Any thread may use it; each has its own connection."""

    def __init__(self, database: Path) -> None:
        self.database, self._own = database, threading.local()

    def __getitem__(self, file: int) -> bytes:
        """Raises KeyError for a file that has none, or that has since been forgotten."""
        if not hasattr(self._own, "connection"):
            self._own.connection = schema.connect(self.database)
        row = self._own.connection.execute("SELECT sound FROM speech_audio WHERE video_id = ?", (file,)).fetchone()
        if row is None:
            raise KeyError(file)
        found: bytes = row[0]
        return found
